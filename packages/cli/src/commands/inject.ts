import { defaultPolicy, type InjectionPolicy, pullPolicies, trafficModes } from "@cutline/injection";
import { type Command, InvalidArgumentError, Option } from "commander";
import { readText } from "../certs/folder.ts";
import type { Context, Run } from "../context.ts";
import { CliError, type ExitCode, exitCodes } from "../errors.ts";
import type { Done, Rewritten } from "../inject/documents.ts";
import { type Io, writeText } from "../io.ts";
import { note } from "../output/emit.ts";
import { escapeLine } from "../output/text.ts";
import { version } from "../version.ts";

interface Flags {
  readonly file: string;
  readonly image?: string;
  readonly imagePullPolicy: InjectionPolicy["imagePullPolicy"];
  readonly coordinatorNamespace: string;
  readonly agentsService: string;
  readonly traffic: InjectionPolicy["traffic"];
  readonly outboundPorts: readonly number[];
  readonly nativeSidecars: boolean;
  readonly authorities?: string;
  readonly tls: boolean;
  readonly remove?: boolean;
}

/** Of the documents. */
const inputBytesMax = 64 * 1024 * 1024;

/** The YAML library, which takes a while, is loaded only when the command runs. */
export function addInject(program: Command, run: Run): void {
  program
    .command("inject")
    .description("put agents into the workloads of YAML or JSON documents, as the webhook does")
    .requiredOption("-f, --file <file>", "the documents; - for stdin")
    .option("--image <image>", "the image of the agents (environment: CUTLINE_INJECTION_IMAGE)")
    .addOption(
      new Option("--image-pull-policy <policy>", "when nodes pull it")
        .choices(pullPolicies)
        .default(defaultPolicy.imagePullPolicy),
    )
    .option("--coordinator-namespace <name>", "where the coordinator runs", defaultPolicy.coordinatorNamespace)
    .option("--agents-service <name>", "the Service at which agents attach", defaultPolicy.agentsService)
    .addOption(
      new Option("--traffic <mode>", "how calls come to the agent")
        .choices(trafficModes)
        .default(defaultPolicy.traffic),
    )
    .option("--outbound-ports <list>", "redirect: ports that lead through the agent: 9000,50051", parsePorts, [])
    .option("--no-native-sidecars", "agents as ordinary containers, for clusters before 1.29")
    .option("--authorities <file>", "PEM: the authorities of the mesh, whom agents believe at first")
    .option("--no-tls", "agents without TLS")
    .option("--remove", "take injected agents away instead")
    .action((flags: Flags) => run((context) => injectFile(context, flags)));
}

async function injectFile(context: Context, flags: Flags): Promise<ExitCode> {
  const { injectAll, removeAll } = await import("../inject/documents.ts");
  const policy = flags.remove === true ? undefined : await policyOf(context.io, flags);
  const source = await readSource(context.io, flags.file);
  const rewritten = policy === undefined ? removeAll(source) : injectAll(source, policy);
  tell(context, rewritten, flags);
  const refused = rewritten.done.filter(({ outcome }) => outcome.outcome === "refused");
  if (refused.length > 0) {
    const details = refused.map(({ workload, outcome }) => {
      return outcome.outcome === "refused" ? `${workload}: ${outcome.code}: ${outcome.message}` : workload;
    });
    const message = "nothing is printed, because these workloads cannot be given an agent:";
    throw new CliError("InjectionRefused", exitCodes.refused, message, { details });
  }
  writeText(context.io.stdout, rewritten.text);
  return exitCodes.ok;
}

async function policyOf(io: Io, flags: Flags): Promise<InjectionPolicy> {
  const image = flags.image ?? (io.env.CUTLINE_INJECTION_IMAGE || undefined);
  if (image === undefined)
    throw usage("the image of the agents is not known: give --image, or CUTLINE_INJECTION_IMAGE");
  if (flags.tls && flags.authorities === undefined) {
    throw usage("give --authorities FILE, or --no-tls for a mesh without TLS");
  }
  const meshAuthorities = flags.tls ? await readText(flags.authorities ?? "") : undefined;
  if (meshAuthorities !== undefined && !meshAuthorities.includes("-----BEGIN CERTIFICATE-----")) {
    throw usage(`${flags.authorities} holds no certificate in PEM`);
  }
  const { imagePullPolicy, coordinatorNamespace, agentsService, nativeSidecars, traffic, outboundPorts } = flags;
  return {
    ...defaultPolicy,
    ...{ version, image, imagePullPolicy, coordinatorNamespace, agentsService, nativeSidecars },
    ...{ meshAuthorities, traffic, outboundPorts },
  };
}

function tell(context: Context, { done, plain }: Rewritten, { remove }: Flags): void {
  for (const { workload, outcome } of done) {
    if (outcome.outcome === "refused") continue;
    note(context, escapeLine(`${workload}: ${verdictOf(outcome, remove === true)}`));
    for (const warning of outcome.warnings) note(context, escapeLine(`  warning: ${warning}`));
  }
  for (const at of plain) note(context, `document ${at} uses aliases: its comments are lost`);
  if (done.length === 0) note(context, "there is no workload in these documents; they are printed as they are");
}

function verdictOf(outcome: Exclude<Done["outcome"], { outcome: "refused" }>, removing: boolean): string {
  if (outcome.outcome === "skipped") return `unchanged: ${outcome.message}`;
  return removing ? "agent removed" : "agent injected";
}

async function readSource(io: Io, file: string): Promise<string> {
  if (file !== "-") return await readText(file);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of io.stdin.stream) {
    const part = Buffer.from(chunk as Buffer | string);
    bytes += part.length;
    if (bytes > inputBytesMax) throw usage(`stdin has more than ${inputBytesMax} bytes`);
    chunks.push(part);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parsePorts(text: string): number[] {
  const items = text.split(",").map((item) => item.trim());
  if (!items.every((item) => /^[1-9][0-9]{0,4}$/.test(item) && Number(item) <= 65_535)) {
    throw new InvalidArgumentError("It must be ports from 1 to 65535, separated by commas.");
  }
  return items.map(Number);
}

function usage(message: string): CliError {
  return new CliError("UsageInvalid", exitCodes.usage, message);
}
