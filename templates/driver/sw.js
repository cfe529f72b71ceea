{% load static %}// The service worker is drivers/static/driver/core/worker.js. This is a Django template only for the name of this state of
// the app and for the addresses that make it up.
import { serve } from "{% static "driver/core/worker.js" %}";

serve(self, { build: "{{ build|escapejs }}", files: JSON.parse("{{ precache|escapejs }}"), shell: "/driver/" });
