import type { FastifyInstance, HTTPMethods } from "fastify";

/** The methods that Fastify routes. */
const routedMethods: readonly HTTPMethods[] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

/** Runs `register`, then gives every path it registered a 405 for the methods that the path does not have. */
export function answerOtherMethods(app: FastifyInstance, register: () => void): void {
  const paths = new Map<string, { url: string; taken: Set<string>; allowed: Set<string> }>();
  let collecting = true;
  app.addHook("onRoute", (route) => {
    if (!collecting) {
      return;
    }
    // The router does not tell parameters of different names apart.
    const key = route.url.replaceAll(/:\w+/g, ":");
    const path = paths.get(key) ?? { url: route.url, taken: new Set(), allowed: new Set() };
    paths.set(key, path);
    for (const method of [route.method].flat()) {
      path.taken.add(method);
      if (route.config?.customMethod !== true) {
        path.allowed.add(method);
      }
    }
  });
  register();
  collecting = false;
  for (const { url, taken, allowed } of paths.values()) {
    app.route({
      method: routedMethods.filter((method) => !taken.has(method)),
      url,
      exposeHeadRoute: false,
      schema: { hide: true },
      config: { allow: [...allowed], produces: false },
      // The request hook answers these before the body is read.
      handler: async () => undefined,
    });
  }
}
