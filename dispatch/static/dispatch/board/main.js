// Wires the console together. The page (templates/admin/board.html) loads this module and nothing else.
