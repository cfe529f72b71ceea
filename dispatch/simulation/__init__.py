"""A fleet and its customers, as seen from outside: everything goes through the public HTTP and WebSocket doors, one token
per driver. Plain asyncio, no Django: nothing here can reach the database."""
