import { fileURLToPath } from "node:url";
import { reservePort } from "@cutline/e2e";
import type { StateForm } from "../contract.ts";
import { sourceCondition } from "./agent-code.ts";
import type { NativePrograms } from "./native.ts";
import type { Program } from "./program.ts";
import type { Workshop } from "./workshop.ts";

const programFile = (name: string) => fileURLToPath(new URL(`../${name}.ts`, import.meta.url));

export interface Echo {
  readonly program: Program;
  /** Of 127.0.0.1. */
  readonly port: number;
}

export async function startNativeEcho(workshop: Workshop, { echo }: NativePrograms): Promise<Echo> {
  const { placement } = workshop;
  const readiness = { line: "echo serves" };
  const { program, line } = await workshop.start({ name: "echo", command: [echo], core: placement.echo }, readiness);
  const { port } = JSON.parse(line) as { port: number };
  return { program, port };
}

/** What both ends with grpc-js are told. */
export interface SdkSettings {
  readonly sdk: "none" | "participant";
  /** About that much JSON, in records. */
  readonly stateBytes: number;
  readonly stateForm: StateForm;
}

function sdkEnvironment({ sdk, stateBytes, stateForm }: SdkSettings): Record<string, string> {
  return { BENCH_SDK: sdk, BENCH_STATE_BYTES: String(stateBytes), BENCH_STATE_FORM: stateForm };
}

export async function startGrpcJsEcho(workshop: Workshop, settings: SdkSettings): Promise<Echo> {
  const { placement, executable } = workshop;
  const port = await reservePort();
  const command = [executable, sourceCondition, programFile("echo-server")] as const;
  const environment = { ...sdkEnvironment(settings), BENCH_PORT: String(port) };
  const spec = { name: "echo with grpc-js", command, core: placement.echo, environment };
  return { program: (await workshop.start(spec, { line: "echo serves" })).program, port };
}

/** A load client with grpc-js: it measures when it is told to. */
export interface GrpcJsClient {
  readonly program: Program;
  readonly controlUrl: string;
}

export interface GrpcJsRoute {
  /** Where it dials; not used with a proxy. */
  readonly port: number;
  /** Of 127.0.0.1, `grpc_proxy`; `undefined`: it dials. */
  readonly proxyPort: number | undefined;
}

/** `servingPort`: of the SDK's service, where there is one. */
export async function startGrpcJsClient(
  workshop: Workshop,
  settings: SdkSettings,
  route: GrpcJsRoute,
  servingPort: number,
): Promise<GrpcJsClient> {
  const { placement, executable } = workshop;
  const control = await reservePort();
  const command = [executable, sourceCondition, programFile("load-client")] as const;
  const environment = {
    ...sdkEnvironment(settings),
    BENCH_PORT: String(servingPort),
    BENCH_CONTROL_PORT: String(control),
    BENCH_ECHO_ADDRESS: `127.0.0.1:${route.port}`,
    ...(route.proxyPort === undefined ? {} : { grpc_proxy: `http://127.0.0.1:${route.proxyPort}` }),
  };
  const spec = { name: "load with grpc-js", command, core: placement.load, environment };
  const { program } = await workshop.start(spec, { line: "load client serves" });
  return { program, controlUrl: `http://127.0.0.1:${control}/` };
}
