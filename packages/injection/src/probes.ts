import { type Application, portsOf } from "./application.ts";
import { isObject, type Json, type JsonObject } from "./json.ts";
import { ports } from "./names.ts";
import type { Container } from "./pod.ts";

/**
 * In redirect mode the application's port leads to the agent, which serves gRPC only and would count the kubelet among
 * the callers. So what the kubelet asks at that port goes to another one, which leads straight to the application.
 */
export function moveProbes(container: Container, application: Application): Container {
  const names = portsOf(application.container)
    .filter(({ containerPort }) => containerPort === application.port)
    .map(({ name }) => name);
  const ownNames = container.name === application.container.name ? names : [];
  const isIts = (port: Json | undefined) =>
    port === application.port || port === String(application.port) || (port !== undefined && ownNames.includes(port));
  return changePorts(container, (port) => (isIts(port) ? ports.probe : port));
}

/** Back to the application's port. */
export function restoreProbes(container: Container, applicationPort: number): Container {
  return changePorts(container, (port) => (port === ports.probe ? applicationPort : port));
}

type Change = (port: Json | undefined) => Json | undefined;

function changePorts(container: Container, change: Change): Container {
  const changed: Record<string, Json> = {};
  for (const name of ["startupProbe", "readinessProbe", "livenessProbe"]) {
    const probe = container[name];
    if (isObject(probe)) changed[name] = changeAction(probe, change);
  }
  const { lifecycle } = container;
  if (isObject(lifecycle)) {
    changed.lifecycle = Object.fromEntries(
      Object.entries(lifecycle).map(([name, hook]) => [name, isObject(hook) ? changeAction(hook, change) : hook]),
    );
  }
  return { ...container, ...changed };
}

function changeAction(action: JsonObject, change: Change): JsonObject {
  const changed: Record<string, Json> = {};
  for (const kind of ["httpGet", "tcpSocket", "grpc"]) {
    const target = action[kind];
    if (!isObject(target) || target.host !== undefined) continue;
    changed[kind] = { ...target, port: change(target.port) };
  }
  return { ...action, ...changed };
}
