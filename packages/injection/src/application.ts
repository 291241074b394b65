import { isPort, type PodSettings } from "./annotations.ts";
import { agentContainer, ports, redirectContainer } from "./names.ts";
import { Refused } from "./outcome.ts";
import { type Container, objectsAt, type Pod } from "./pod.ts";

/** The container that the agent stands beside, and where it serves gRPC. */
export interface Application {
  readonly container: Container;
  readonly port: number;
}

/** Throws {@link Refused}. */
export function findApplication(pod: Pod, settings: PodSettings): Application {
  const candidates = pod.containers.filter(({ name }) => name !== agentContainer);
  const { container: wanted } = settings;
  const container = wanted === undefined ? candidates[0] : candidates.find(({ name }) => name === wanted);
  if (container === undefined) {
    const there = candidates.map(({ name }) => name).join(", ");
    const message =
      wanted === undefined
        ? "the pod has no container beside the agent"
        : `cutline.dev/container names ${wanted}; the containers are ${there}`;
    throw new Refused("ContainerMissing", message);
  }
  return { container, port: findPort(container, settings.applicationPort) };
}

function findPort(container: Container, asked: string | undefined): number {
  if (asked !== undefined && isPort(asked)) return Number(asked);
  const tcp = portsOf(container).filter(({ protocol }) => protocol === "TCP");
  const found = asked === undefined ? tcp[0] : tcp.find(({ name }) => name === asked);
  if (found !== undefined) return found.containerPort;
  const message =
    asked === undefined
      ? `container ${container.name} names no port; say where it serves gRPC with cutline.dev/application-port, or in its ports`
      : `cutline.dev/application-port is ${asked}, and container ${container.name} has no TCP port of that name`;
  throw new Refused("PortMissing", message);
}

interface ContainerPort {
  readonly name: unknown;
  readonly containerPort: number;
  readonly protocol: unknown;
}

export function portsOf(container: Container): readonly ContainerPort[] {
  return objectsAt(container.ports, `the ports of container ${container.name}`).flatMap((item) => {
    const { name, containerPort, protocol = "TCP" } = item;
    return typeof containerPort === "number" ? [{ name, containerPort, protocol }] : [];
  });
}

/** The agent shares the pod's addresses with every container. Throws {@link Refused}. */
export function checkPorts(pod: Pod, application: Application): void {
  const { coordinator: _coordinator, identity: _identity, ...own } = ports;
  const taken = new Map<number, string>(Object.entries(own).map(([use, port]) => [port, use]));
  const clash = (port: number, where: string) => {
    const use = taken.get(port);
    if (use === undefined) return;
    const message = `${where} is port ${port}, which the agent has for itself (${use}); let the application use another`;
    throw new Refused("PortClash", message);
  };
  clash(application.port, `the application's port (container ${application.container.name})`);
  for (const container of [...pod.containers, ...pod.initContainers]) {
    if (container.name === agentContainer || container.name === redirectContainer) continue;
    for (const { containerPort, protocol } of portsOf(container)) {
      if (protocol === "TCP") clash(containerPort, `a port of container ${container.name}`);
    }
  }
}
