import { readFile } from 'node:fs/promises';
import { ownPlatform, parsePlatform, type Platform } from '../copy/platform.ts';
import { parsePlace, type Place } from '../copy/place.ts';
import { makePlan, PlanError, type Connect, type Extent, type Plan } from '../copy/plan.ts';
import { CopyTally, imageLine, statusLine, summaryLine } from '../copy/report.ts';
import { runPlan } from '../copy/run-plan.ts';
import { connectRegistry } from '../oci-client/connect-registry.ts';
import { dockerCredentials, parseCredentials, type Credentials } from '../oci-client/credentials.ts';
import { systemClock } from '../process/clock.ts';
import { formatOption, isJson } from './format-option.ts';
import { showStatus } from './status-line.ts';
import { UsageError, type Command, type ExitCode, type Invocation } from './command.ts';

export const copy: Command = {
  summary: 'Copy images between registries, OCI layouts and docker archives.',
  usage: 'SRC DST',
  options: {
    'all-tags': { type: 'boolean', description: 'Copy every tag of the repository SRC.' },
    all: { type: 'boolean', description: 'Copy every tag of every repository of the registry SRC.' },
    referrers: { type: 'boolean', description: 'Copy signatures, SBOMs and other referrers as well.' },
    platform: {
      type: 'string',
      value: 'OS/ARCH',
      description: 'Copy one image of an index, as in linux/arm64, instead of all.',
    },
    concurrency: {
      type: 'string',
      value: 'N',
      default: '4',
      description: 'Images and blobs at once (default 4).',
    },
    retries: {
      type: 'string',
      value: 'N',
      default: '5',
      description: 'How often a request or an upload is tried again (default 5).',
    },
    format: formatOption('How to print what was done'),
    'src-creds': {
      type: 'string',
      value: 'USER:PASSWORD',
      description: "Credentials for SRC; otherwise docker's.",
    },
    'dst-creds': {
      type: 'string',
      value: 'USER:PASSWORD',
      description: "Credentials for DST; otherwise docker's.",
    },
    'src-ca': {
      type: 'string',
      value: 'FILE',
      description: 'Trust the certificates in FILE for SRC as well.',
    },
    'dst-ca': {
      type: 'string',
      value: 'FILE',
      description: 'Trust the certificates in FILE for DST as well.',
    },
    'src-insecure': { type: 'boolean', description: 'Let SRC have any certificate, or speak plain HTTP.' },
    'dst-insecure': { type: 'boolean', description: 'Let DST have any certificate, or speak plain HTTP.' },
  },
  run,
};

interface Settings {
  readonly from: Place;
  readonly to: Place;
  readonly extent: Extent;
  readonly platform: Platform | undefined;
  readonly concurrency: number;
  readonly retries: number;
  readonly json: boolean;
}

async function run(invocation: Invocation): Promise<ExitCode> {
  const settings = parseSettings(invocation);
  const { from, to, extent } = settings;
  try {
    const plan = await makePlan(from, to, extent, connector(invocation, settings));
    return (await carryOut(plan, settings, invocation)) === 0 ? 0 : 1;
  } catch (error) {
    if (error instanceof PlanError) throw new UsageError(error.message);
    invocation.stderr.write(`stevedore copy: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}

async function carryOut(plan: Plan, settings: Settings, invocation: Invocation): Promise<number> {
  const { stdout, stderr, values, signal } = invocation;
  const { json } = settings;
  const tally = new CopyTally(systemClock);
  using status = showStatus([stderr, stdout], () => statusLine(tally.summary(), plan.jobs.length));
  const failed = await runPlan(plan, {
    platform: settings.platform,
    ownPlatform: ownPlatform(process.arch),
    referrers: values['referrers'] === true,
    concurrency: settings.concurrency,
    signal,
    progress: {
      sent: (bytes) => tally.sent(bytes),
      blob: (outcome) => tally.blob(outcome),
      image(report) {
        tally.image(report);
        status.clear();
        stdout.write(`${json ? JSON.stringify(report) : imageLine(report)}\n`);
      },
    },
  });
  status.clear();
  const summary = tally.summary();
  stdout.write(`${json ? JSON.stringify({ summary }) : summaryLine(summary)}\n`);
  return failed;
}

/** Connects with the options of either side. */
function connector({ values, environment, signal }: Invocation, { retries }: Settings): Connect {
  return async (side, place) => {
    const option = (name: string): unknown => values[`${side === 'source' ? 'src' : 'dst'}-${name}`];
    const [file, creds] = [option('ca'), option('creds')];
    const credentials: Credentials | undefined =
      typeof creds === 'string' ? parseCredentials(creds) : await dockerCredentials(place.host, environment);
    return connectRegistry({
      host: place.host,
      ...(place.scheme !== undefined && { scheme: place.scheme }),
      insecure: option('insecure') === true,
      authorities: typeof file === 'string' ? [await readFile(file, 'utf8')] : [],
      credentials,
      retries,
      clock: systemClock,
      random: Math.random,
      environment,
      signal,
    });
  };
}

function parseSettings({ positionals, values }: Invocation): Settings {
  const [source, destination, ...rest] = positionals;
  if (source === undefined || destination === undefined || rest.length > 0) {
    throw new UsageError(`SRC and DST, not ${positionals.length} arguments`);
  }
  for (const name of ['src-creds', 'dst-creds']) {
    const text = values[name];
    if (typeof text === 'string' && parseCredentials(text) === undefined)
      throw new UsageError(`--${name} is USER:PASSWORD`);
  }
  if (values['all'] === true && values['all-tags'] === true)
    throw new UsageError('--all copies all tags already');
  const to = requirePlace(destination);
  if (values['referrers'] === true && to.kind === 'archive')
    throw new UsageError('a docker archive holds one image: it has no room for referrers');
  const platform = values['platform'];
  const parsed = typeof platform === 'string' ? parsePlatform(platform) : undefined;
  if (platform !== undefined && parsed === undefined) {
    throw new UsageError(`--platform is OS/ARCH, as in linux/arm64, not '${String(platform)}'`);
  }
  return {
    from: requirePlace(source),
    to,
    extent: values['all'] === true ? 'all' : values['all-tags'] === true ? 'tags' : 'one',
    platform: parsed,
    concurrency: requireCount('concurrency', values['concurrency'], 1),
    retries: requireCount('retries', values['retries'], 0),
    json: isJson({ values }),
  };
}

function requirePlace(text: string): Place {
  const place = parsePlace(text);
  if (place !== undefined) return place;
  throw new UsageError(
    `'${text}' is none of registry/repository:tag, oci:DIR[:NAME] and docker-archive:FILE[:NAME]`,
  );
}

function requireCount(name: string, value: unknown, least: number): number {
  const count = typeof value === 'string' && /^\d{1,4}$/.test(value) ? Number(value) : -1;
  if (count >= least) return count;
  throw new UsageError(`--${name} is a number, ${least} or more, not '${String(value)}'`);
}
