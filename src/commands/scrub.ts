import { mirrorSettings } from '../contract/config/mirror-settings.ts';
import { systemClock } from '../process/clock.ts';
import { Progress } from '../registry/collect/progress.ts';
import type { Finding } from '../registry/scrub/finding.ts';
import { Pace } from '../registry/scrub/pace.ts';
import { scrubBlobs, type ScrubDependencies } from '../registry/scrub/scrub-blobs.ts';
import { scrubRepositories } from '../registry/scrub/scrub-repositories.ts';
import { openFallbackTagWriter } from '../registry/scrub/write-fallback-tags.ts';
import { createManifestRules } from '../registry/storage/manifest-rules.ts';
import { openStorage } from '../registry/storage/open-storage.ts';
import { showProgress } from './collection-progress.ts';
import { UsageError, type Command, type ExitCode, type Invocation } from './command.ts';
import { readConfig, type LoadedConfig } from './config-file.ts';
import { openLog } from './config-log.ts';
import { formatOption, isJson } from './format-option.ts';
import { parseRate, rateOption } from './rate-option.ts';
import { aboveStatus } from './status-line.ts';

export const scrub: Command = {
  summary:
    'Verify all content and links of a storage, beside running servers; changes nothing unless told to.',
  usage: 'CONFIG',
  options: {
    rate: rateOption,
    concurrency: {
      type: 'string',
      value: 'NUMBER',
      default: '4',
      description: 'Read so many blobs at once (default 4).',
    },
    'write-fallback-tags': {
      type: 'boolean',
      description:
        'List signatures, SBOMs and the like under tags as well, where docker distribution and its clients find them.',
    },
    format: formatOption('How to print what is wrong'),
  },
  run,
};

/** Findings in a document; the log has all. */
const MOST = 1000;

/** What `--format json` prints. */
interface ScrubReport {
  readonly repositories: number;
  readonly manifests: number;
  readonly blobs: number;
  readonly bytes: number;
  readonly findings: readonly Finding[];
  readonly findingsLeftOut: number;
}

async function run(invocation: Invocation): Promise<ExitCode> {
  const settings = {
    rate: parseRate(invocation),
    atOnce: parseConcurrency(invocation),
    json: isJson(invocation),
  };
  const loaded = await readConfig(invocation);
  if (loaded === undefined) return 2;
  if (mirrorSettings(loaded.config) !== undefined && invocation.values['write-fallback-tags'] === true) {
    throw new UsageError('--write-fallback-tags is not for a mirror, whose tags are those of its upstreams');
  }
  try {
    return await scrubStorage(loaded, settings, invocation);
  } catch (error) {
    invocation.stderr.write(`stevedore scrub: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}

async function scrubStorage(
  loaded: LoadedConfig,
  { rate, atOnce, json }: { readonly rate: number; readonly atOnce: number; readonly json: boolean },
  invocation: Invocation,
): Promise<ExitCode> {
  const { stdout, stderr, values, signal } = invocation;
  const { config } = loaded;
  const isMirror = mirrorSettings(config) !== undefined;
  const log = openLog(loaded, aboveStatus(stderr), { command: 'scrub' });
  const clock = systemClock;
  const driver = await openStorage(config, { clock, log, environment: invocation.environment });
  const progress = new Progress(clock);
  progress.begin('verify');
  using status = showProgress(progress, { stderr, log, clock });
  const findings: Finding[] = [];
  let wrong = 0;
  const deps: ScrubDependencies = {
    driver,
    signal,
    pace: new Pace(clock, rate),
    atOnce,
    found(finding) {
      // A mirror has of an image what was pulled of it.
      if (isMirror && finding.kind === 'missing') return;
      wrong++;
      if (findings.length < MOST) findings.push(finding);
      if (json) return;
      status.clear();
      stdout.write(`${finding.kind.padEnd(12)}${finding.problem}\n`);
    },
    progress: (blobs, share) => progress.set(blobs, blobs / share),
  };
  const rules = createManifestRules(config);
  const readOnly = config.storage.maintenance.readonly.enabled;
  await using writer =
    values['write-fallback-tags'] === true
      ? await openFallbackTagWriter({ driver, clock, log, rules, readOnly })
      : undefined;
  const repositories = await scrubRepositories({
    ...deps,
    rules,
    ...(writer && { subjects: (repository, subjects) => writer.write(repository, subjects) }),
  });
  const report: ScrubReport = {
    ...repositories,
    ...(await scrubBlobs(deps)),
    findings,
    findingsLeftOut: wrong - findings.length,
  };
  status.clear();
  stdout.write(json ? `${JSON.stringify(report)}\n` : summary(report, wrong));
  return wrong === 0 ? 0 : 1;
}

function summary({ repositories, manifests, blobs, bytes }: ScrubReport, wrong: number): string {
  const looked = `${repositories} repositories, ${manifests} manifests and ${blobs} blobs of ${bytes} bytes were read`;
  return `${looked}: ${wrong === 0 ? 'all is well' : `${wrong} problems`}\n`;
}

function parseConcurrency({ values }: Invocation): number {
  const text = String(values['concurrency']);
  if (/^[1-9]\d{0,2}$/.test(text)) return Number(text);
  throw new UsageError(`--concurrency is a number from 1 to 999, not '${text}'`);
}
