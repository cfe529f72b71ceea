// A Django template only for these two: the name of this state of the app, and the addresses that make it up.
const BUILD = "{{ build|escapejs }}";
/** @type {string[]} */
const PRECACHE = JSON.parse("{{ precache|escapejs }}");

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(`baton-${BUILD}`).then((cache) => cache.addAll(PRECACHE)));
});
