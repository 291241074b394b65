import type { ControlServer } from "@cutline/proto/control";
import { Server } from "@grpc/grpc-js";

/** The handlers that a server registers while `make` makes it: what a call meets behind the network. */
export function handlersOf<T>(make: () => T): { readonly made: T; readonly handlers: ControlServer } {
  let handlers: ControlServer | undefined;
  const { addService } = Server.prototype;
  Server.prototype.addService = (_service, implementation) => {
    // Those of the server that is made first: another one may answer callers that are refused.
    handlers ??= implementation as unknown as ControlServer;
  };
  try {
    const made = make();
    if (handlers === undefined) throw new Error("the server registered no handlers");
    return { made, handlers };
  } finally {
    Server.prototype.addService = addService;
  }
}
