import type { Http2Adapters } from "./adapters.ts";
import { clientCompliance } from "./client-compliance.ts";
import { grpcCompliance } from "./grpc-compliance.ts";
import { poolCompliance } from "./pool-compliance.ts";
import { proxyCompliance } from "./proxy-compliance.ts";
import { serverCompliance } from "./server-compliance.ts";

/** Everything the data plane relies on, for any implementation of the port. */
export function http2Compliance(adapters: Http2Adapters): void {
  serverCompliance(adapters);
  clientCompliance(adapters);
  poolCompliance(adapters);
  proxyCompliance(adapters);
  grpcCompliance(adapters);
}
