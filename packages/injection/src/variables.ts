import type { PodSettings } from "./annotations.ts";
import type { JsonObject } from "./json.ts";
import { ports } from "./names.ts";
import { type Container, objectsAt } from "./pod.ts";

/** Kubernetes replaces `$(NAME)` in values, and `$$` by `$`; text of somebody's comes through as it is. */
export const literal = (text: string) => text.replaceAll("$", "$$$$");

const proxy = `127.0.0.1:${ports.outbound}`;
/**
 * Calls to the own pod need no agent. `::1` is not among them, because clients compare ends of names, and it is the end
 * of other addresses; the agent passes such calls on.
 */
const loopback = ["localhost", "127.0.0.1"];
/** What Go programs do over TLS besides gRPC must not depend on the agent: above all, the API server. */
const apiServer = ["kubernetes.default.svc", "$(KUBERNETES_SERVICE_HOST)"];

interface Wanted {
  readonly name: string;
  readonly value: string;
  /** Set by the user under any of these names, it is theirs. */
  readonly takenBy: readonly string[];
}

/** What leads the application's clients through the agent. Redirect mode needs none of it. */
function wantedVariables({ traffic, noProxy, clients }: PodSettings): readonly Wanted[] {
  if (traffic === "redirect") return [];
  const hosts = [...loopback, ...noProxy.map(literal)];
  const wanted = [
    { name: "grpc_proxy", value: `http://${proxy}` },
    // Where it is not set, `no_proxy` counts, and that is written for another proxy.
    { name: "no_grpc_proxy", value: hosts.join(",") },
  ];
  if (clients.includes("go")) {
    wanted.push({ name: "HTTPS_PROXY", value: `http://${proxy}` });
    wanted.push({ name: "NO_PROXY", value: [...hosts, ...apiServer].join(",") });
  }
  if (clients.includes("java")) wanted.push({ name: "GRPC_PROXY_EXP", value: proxy });
  const bothCases = ["HTTPS_PROXY", "NO_PROXY"];
  return wanted.map(({ name, value }) => {
    return { name, value, takenBy: bothCases.includes(name) ? [name, name.toLowerCase()] : [name] };
  });
}

export interface Equipped {
  readonly container: Container;
  /** Names of the variables that were added. */
  readonly added: readonly string[];
  readonly warnings: readonly string[];
}

/** Adds what the container does not set itself. `before`: what an earlier injection of the same pod had added. */
export function equip(container: Container, settings: PodSettings, before: readonly string[]): Equipped {
  const env = objectsAt(container.env, `the env of container ${container.name}`);
  const additions: JsonObject[] = [];
  const added: string[] = [];
  const warnings: string[] = [];
  for (const { name, value, takenBy } of wantedVariables(settings)) {
    const present = env.find((variable) => takenBy.includes(String(variable.name)));
    if (present === undefined) {
      additions.push({ name, value });
      added.push(name);
    } else if (before.includes(name)) {
      added.push(name);
    } else if (present.value !== value) {
      warnings.push(
        `container ${container.name} sets ${String(present.name)} itself: it is left as it is, and calls that it leads past the agent are not seen`,
      );
    }
  }
  const equipped = additions.length === 0 ? container : { ...container, env: [...env, ...additions] };
  return { container: equipped, added, warnings };
}

/** Takes away what an earlier injection had added. */
export function unequip(container: Container, added: readonly string[]): Container {
  if (added.length === 0) return container;
  const { env: _, ...rest } = container;
  const env = objectsAt(container.env, `the env of container ${container.name}`);
  const names = new Set(added);
  const kept = env.filter(({ name }) => !names.has(String(name)));
  return kept.length === 0 ? rest : { ...container, env: kept };
}
