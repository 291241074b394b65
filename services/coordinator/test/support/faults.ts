import type { Store } from "../../src/store/port.ts";

/** The store, with some methods replaced. */
export function withFaults(store: Store, faults: Partial<Store>): Store {
  return new Proxy(store, {
    get(target, name: keyof Store) {
      const method = faults[name] ?? target[name];
      return typeof method === "function" ? method.bind(target) : method;
    },
  });
}
