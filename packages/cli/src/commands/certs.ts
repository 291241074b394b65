import { resolve } from "node:path";
import type { Command } from "commander";
import type { Made } from "../certs/make.ts";
import type { ShownCertificate } from "../certs/show.ts";
import type { Context, Run } from "../context.ts";
import { CliError, exitCodes } from "../errors.ts";
import { emit, note } from "../output/emit.ts";
import { escapeLine } from "../output/text.ts";
import { integerBetween } from "./options.ts";

const daysMax = 36_500;
const authorityDaysDefault = 3_650;
const peerDaysDefault = 365;
const trustDomainDefault = "cutline";

interface MakeFlags {
  readonly out: string;
  readonly days: number;
  readonly force?: boolean;
}

type PeerFlags = MakeFlags & { readonly authority: string };

/** What makes and reads certificates is loaded only when it is used: nothing else needs it. */
export function addCerts(program: Command, run: Run): void {
  const certs = program.command("certs").description("make and show the certificates of mutual TLS");
  const days = integerBetween(1, daysMax);

  certs
    .command("authority")
    .description("make a mesh authority, which issues the certificates of processes")
    .requiredOption("--out <folder>", "where authority.pem and authority.key go")
    .option("--days <n>", "how long it is valid", days, authorityDaysDefault)
    .option("--trust-domain <name>", "the name of the mesh", trustDomainDefault)
    .option("--force", "replace files that are there")
    .action((flags: MakeFlags & { readonly trustDomain: string }) =>
      run(async (context) => {
        const { isTrustDomain } = await import("@cutline/runtime");
        if (!isTrustDomain(flags.trustDomain)) {
          throw usage(`"${flags.trustDomain}" is no trust domain: it is written like a host name, in lower case`);
        }
        const { makeAuthority } = await import("../certs/make.ts");
        const made = await makeAuthority({ ...optionsOf(context, flags), trustDomain: flags.trustDomain });
        emit(context, made, () => describeMade(made));
        note(context, "Keep authority.key to yourself: whoever has it can be any process of the mesh.");
        return exitCodes.ok;
      }),
    );

  peerCommand(
    certs.command("process").description("make the certificate of one process").argument("<id>", "namespace/name"),
  ).action((id: string, flags: PeerFlags) =>
    run(async (context) => {
      const { isProcessId } = await import("@cutline/runtime");
      if (!isProcessId(id)) throw usage(`"${id}" is no process: it is written namespace/name, in lower case`);
      return await makeFor(context, { kind: "process", processId: id }, flags);
    }),
  );

  peerCommand(
    certs.command("coordinator").description("make the certificate of the coordinator, one for all its replicas"),
  ).action((flags: PeerFlags) => run((context) => makeFor(context, { kind: "coordinator" }, flags)));

  certs
    .command("show")
    .description("show the certificates of a PEM file: subject, URI name, issuer, until when")
    .argument("<file>")
    .action((file: string) =>
      run(async (context) => {
        const { readText } = await import("../certs/folder.ts");
        const { readCertificates } = await import("../certs/show.ts");
        const shown = readCertificates(file, await readText(file), context.io.now());
        emit(context, shown, () => shown.map((one) => describeShown(context, one)).join("\n"));
        return exitCodes.ok;
      }),
    );

  function peerCommand(command: Command): Command {
    return command
      .requiredOption("--authority <folder>", 'what "cutline certs authority" wrote')
      .requiredOption("--out <folder>", "where certificate.pem, key.pem and authorities.pem go")
      .option("--days <n>", "how long it is valid", days, peerDaysDefault)
      .option("--force", "replace certificate and key that are there");
  }
}

async function makeFor(
  context: Context,
  name: { kind: "process"; processId: string } | { kind: "coordinator" },
  flags: PeerFlags,
): Promise<number> {
  const { makePeer } = await import("../certs/make.ts");
  const made = await makePeer(name, { ...optionsOf(context, flags), authorityFolder: flags.authority });
  emit(context, made, () => describeMade(made));
  if (made.shortened) note(context, `Its authority ends at ${made.until}, and so does it.`);
  return exitCodes.ok;
}

function usage(message: string): CliError {
  return new CliError("NameInvalid", exitCodes.usage, message);
}

function optionsOf(context: Context, { out, days, force }: MakeFlags) {
  return { folder: resolve(out), days, force: force === true, nowMs: context.io.now() };
}

function describeMade({ uri, until, files }: Made): string {
  const lines = Object.entries(files).map(([what, path]) => `  ${what.padEnd(11)}  ${escapeLine(path)}`);
  return `${[`made ${uri}, valid until ${until}`, ...lines].join("\n")}\n`;
}

function describeShown(context: Context, shown: ShownCertificate): string {
  const { subject, uris, kind, issuer, serial, from, until, standing, sha256 } = shown;
  const rows: readonly (readonly [string, string])[] = [
    ["subject", subject],
    ["uri", uris.join(", ") || "none"],
    ["kind", kind],
    ["issuer", issuer],
    ["serial", serial],
    ["from", from],
    ["until", standing === "valid" ? until : context.paint("bad", `${until} (${standing})`)],
    ["sha256", sha256],
  ];
  return rows.map(([title, text]) => `${title.padEnd(7)}  ${title === "until" ? text : escapeLine(text)}\n`).join("");
}
