import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import packageFile from '../../package.json' with { type: 'json' };
import { FIELD_MANAGER } from '../api/names.ts';
import { createKubeClient, type KubeClient } from '../kube/client.ts';
import { createCredentials, loadKubeConfig } from '../kube/credentials.ts';
import { createKubeMetrics } from '../kube/metrics.ts';
import { createTransport } from '../kube/transport.ts';
import { kindWords, lookAtFleet, lookInto, type KindWord } from '../operator/look-into.ts';
import { systemClock } from '../process/clock.ts';
import { UsageError, type Command, type ExitCode, type Invocation } from './command.ts';
import { findingsText, fleetText } from './fleet-text.ts';
import { formatOption, isJson } from './format-option.ts';

export const status: Command = {
  summary: 'Show what registries, mirrors and collections are in a cluster, and what is wrong with one.',
  usage: '[registry|mirror|gc NAME]',
  options: {
    namespace: {
      type: 'string',
      short: 'n',
      value: 'NAME',
      description: 'Where to look (default: everywhere; for one resource that of the kubeconfig).',
    },
    format: formatOption('How to print it'),
    kubeconfig: {
      type: 'string',
      value: 'FILE',
      description:
        "How to reach the API server (default: $KUBECONFIG, ~/.kube/config, or the pod's own account).",
    },
  },
  run,
};

interface Question {
  readonly one: { readonly word: KindWord; readonly name: string } | undefined;
  readonly namespace: string | undefined;
  readonly kubeconfig: string | undefined;
  readonly json: boolean;
}

/** Exits with 1 when something is not ready, as for what could not be asked. */
async function run(invocation: Invocation): Promise<ExitCode> {
  const question = readQuestion(invocation);
  const load = () => loadKubeConfig(question.kubeconfig);
  let home: string;
  try {
    const config = load();
    home = config.getContextObject(config.getCurrentContext())?.namespace ?? 'default';
  } catch (error) {
    invocation.stderr.write(`stevedore status: ${messageOf(error)}\n`);
    return 2;
  }
  const transport = createTransport({
    credentials: createCredentials({ load, clock: systemClock }),
    clock: systemClock,
    metrics: createKubeMetrics(new Registry()),
    userAgent: `stevedore/${packageFile.version}`,
  });
  try {
    const client = createKubeClient({ transport, fieldManager: FIELD_MANAGER });
    return await answer(invocation, question, client, home);
  } catch (error) {
    invocation.stderr.write(`stevedore status: ${messageOf(error)}\n`);
    return 1;
  } finally {
    await transport.close();
  }
}

async function answer(
  { stdout, stderr }: Invocation,
  { one, namespace, json }: Question,
  client: KubeClient,
  home: string,
): Promise<ExitCode> {
  const now = systemClock.now();
  if (one === undefined) {
    const fleet = await lookAtFleet(client, namespace);
    stdout.write(json ? `${JSON.stringify(fleet, null, 2)}\n` : fleetText(fleet, now));
    return fleet.every(({ ready }) => ready === 'True') ? 0 : 1;
  }
  const key = { namespace: namespace ?? home, name: one.name };
  const findings = await lookInto(client, one.word, key);
  if (findings === undefined) {
    const { kind } = kindWords[one.word];
    stderr.write(`stevedore status: there is no ${kind} ${key.name} in the namespace ${key.namespace}\n`);
    return 1;
  }
  stdout.write(json ? `${JSON.stringify(findings, null, 2)}\n` : findingsText(findings, now));
  return findings.ready === 'True' ? 0 : 1;
}

function readQuestion(invocation: Invocation): Question {
  const { values, positionals, environment } = invocation;
  const text = (name: string): string | undefined => {
    const value = values[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const usual = join(environment['HOME'] ?? homedir(), '.kube/config');
  return {
    one: readOne(positionals),
    namespace: text('namespace'),
    kubeconfig: text('kubeconfig') ?? (environment['KUBECONFIG'] || (existsSync(usual) ? usual : undefined)),
    json: isJson(invocation),
  };
}

function readOne(positionals: readonly string[]): Question['one'] {
  const [kind, name, ...more] = positionals;
  if (kind === undefined) return undefined;
  const word = wordFor(kind.toLowerCase());
  if (word === undefined) throw new UsageError(`'${kind}' is none of registry, mirror and gc`);
  if (name === undefined) throw new UsageError(`which ${kind}? Write its name after it`);
  if (more.length > 0) throw new UsageError(`unexpected argument '${more[0]}'`);
  return { word, name };
}

/** kubectl's names of the kinds are understood as well. */
function wordFor(kind: string): KindWord | undefined {
  for (const word of ['registry', 'mirror', 'gc'] as const) {
    const { plural } = kindWords[word];
    const names = [word, plural, kindWords[word].kind.toLowerCase()];
    if (names.includes(kind)) return word;
  }
  return undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
