// Keeps the page's own files, so that it answers offline; lets nothing else in or out.

const VERSION = "development"; // the page's checksum, once it is put together
const NAME = `${registration.scope}#${VERSION}`;
const SHELL = ["./"]; // and all small files, once it is put together

addEventListener("install", (event) => {
  skipWaiting();
  event.waitUntil(caches.open(NAME).then((cache) => cache.addAll(SHELL)));
});

addEventListener("activate", (event) => {
  const old = (name) => name.startsWith(`${registration.scope}#`) && name !== NAME;
  event.waitUntil(
    caches.keys()
      .then((names) => Promise.all(names.filter(old).map((name) => caches.delete(name))))
      .then(() => clients.claim()),
  );
});

addEventListener("fetch", (event) => {
  const { url, method } = event.request;
  if (new URL(url).origin !== location.origin) event.respondWith(Response.error());
  else if (url.startsWith(registration.scope) && method === "GET") {
    event.respondWith(answer(event.request));
  }
});

async function answer(request) {
  const cache = await caches.open(NAME);
  const kept = await cache.match(request, { ignoreSearch: true });
  if (kept) return kept;
  const found = await fetch(request);
  if (found.status === 200) {
    await cache.put(request, found.clone()).catch(() => {}); // a full disk keeps nobody from asking
  }
  return found;
}
