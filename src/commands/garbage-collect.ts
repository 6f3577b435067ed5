import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { encodeReport, type CollectionReport } from '../contract/collection-report.ts';
import { mirrorSettings } from '../contract/config/mirror-settings.ts';
import { parseDuration } from '../contract/duration.ts';
import { parseRetentionRules } from '../contract/retention-rules.ts';
import { systemClock } from '../process/clock.ts';
import { collect, type CollectOptions } from '../registry/collect/collect.ts';
import { Progress } from '../registry/collect/progress.ts';
import { createManifestRules } from '../registry/storage/manifest-rules.ts';
import { openStorage } from '../registry/storage/open-storage.ts';
import { UsageError, type Command, type ExitCode, type Invocation } from './command.ts';
import { readConfig } from './config-file.ts';
import { openLog } from './config-log.ts';
import { showProgress } from './collection-progress.ts';
import { formatOption, isJson } from './format-option.ts';
import { parseRate, rateOption } from './rate-option.ts';
import { aboveStatus } from './status-line.ts';
import { listVerdicts, printVerdicts } from './tag-verdicts.ts';

export const garbageCollect: Command = {
  summary: 'Delete what no manifest needs, beside running servers: they hold writes for a moment.',
  usage: 'CONFIG',
  options: {
    'dry-run': { type: 'boolean', short: 'd', description: 'Say what would be deleted, and delete nothing.' },
    'delete-untagged': {
      type: 'boolean',
      short: 'm',
      description: 'Delete manifests too that no tag, index or subject leads to.',
    },
    'minimum-age': {
      type: 'string',
      value: 'DURATION',
      default: '2h',
      description: 'Keep what was pushed or used within this time (default 2h).',
    },
    'trash-grace': {
      type: 'string',
      value: 'DURATION',
      default: '24h',
      description: 'Keep deleted content in the trash for this time (default 24h; 0s: none).',
    },
    'drain-timeout': {
      type: 'string',
      value: 'DURATION',
      default: '5m',
      description: 'Wait this long for uploads in progress, then give up (default 5m).',
    },
    verify: {
      type: 'boolean',
      description:
        'Read everything that stays first, and delete nothing if some of it is damaged or missing.',
    },
    rate: rateOption,
    retention: {
      type: 'string',
      value: 'FILE',
      description: 'Delete tags that no rule of this file keeps. A dry run says what becomes of each tag.',
    },
    offline: {
      type: 'boolean',
      description: 'Nothing else writes to the storage: do not ask for a running server.',
    },
    format: formatOption('How to print the report'),
    'report-file': {
      type: 'string',
      value: 'FILE',
      description: 'Write the report as JSON to this file as well.',
    },
  },
  run,
};

async function run(invocation: Invocation): Promise<ExitCode> {
  const given = parseOptions(invocation);
  const rate = parseRate(invocation);
  const retention = await readRetention(invocation);
  const json = isJson(invocation);
  const loaded = await readConfig(invocation);
  if (loaded === undefined) return 2;
  const { config } = loaded;
  if (mirrorSettings(config) !== undefined) {
    invocation.stderr.write(
      'stevedore garbage-collect: this is the configuration of a mirror, which itself drops what was not pulled for the longest time: see stevedore.mirror.cache\n',
    );
    return 2;
  }
  const purging = config.storage.maintenance.uploadpurging;
  const options: CollectOptions = {
    ...given,
    ...retention,
    ...(invocation.values['verify'] === true && {
      verify: { bytesPerSecond: rate, rules: createManifestRules(config) },
    }),
    ...(!purging.enabled && { uploadAge: purging.age }),
  };
  const verdicts = json ? listVerdicts() : printVerdicts(invocation.stdout);
  const log = openLog(loaded, aboveStatus(invocation.stderr), { command: 'garbage-collect' });
  const progress = new Progress(systemClock);
  using status = showProgress(progress, { stderr: invocation.stderr, log, clock: systemClock });
  const report = await collect(options, {
    driver: await openStorage(config, { clock: systemClock, log, environment: invocation.environment }),
    clock: systemClock,
    log,
    run: randomBytes(16).toString('hex'),
    random: Math.random,
    signal: invocation.signal,
    progress,
    judged(verdict) {
      status.clear();
      verdicts.take(verdict);
    },
  });
  status.clear();
  const file = invocation.values['report-file'];
  if (typeof file === 'string') await writeFile(file, encodeReport(report));
  const page = options.retention && options.dryRun ? { ...report, ...verdicts.list() } : report;
  invocation.stdout.write(json ? `${JSON.stringify(page)}\n` : textReport(report));
  return report.result === 'Succeeded' ? 0 : 1;
}

function parseOptions({ values }: Invocation): CollectOptions {
  const duration = (name: string): number => {
    const milliseconds = parseDuration(String(values[name]));
    if (milliseconds === undefined || milliseconds < 0) {
      throw new UsageError(`--${name}: '${String(values[name])}' is not a duration such as 90s, 15m or 2h`);
    }
    return milliseconds;
  };
  return {
    dryRun: values['dry-run'] === true,
    deleteUntagged: values['delete-untagged'] === true,
    offline: values['offline'] === true,
    minimumAge: duration('minimum-age'),
    trashGrace: duration('trash-grace'),
    drainTimeout: duration('drain-timeout'),
  };
}

/** @throws UsageError for rules that are wrong */
async function readRetention({ values }: Invocation): Promise<Pick<CollectOptions, 'retention'>> {
  const file = values['retention'];
  if (typeof file !== 'string') return {};
  try {
    return { retention: parseRetentionRules(await readFile(file, 'utf8')) };
  } catch (error) {
    throw new UsageError(`--retention ${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function textReport(report: CollectionReport): string {
  const phases = Object.entries(report.phaseSeconds);
  const rows: readonly (readonly [string, string])[] = [
    ['result', report.result + (report.dryRun ? ' (dry run)' : '')],
    ['message', report.message],
    [
      'scanned',
      `${report.repositoriesScanned} repositories, ${report.manifestsScanned} manifests, ${report.blobsScanned} blobs`,
    ],
    ['repositories', String(report.repositoriesDeleted)],
    ['uploads', String(report.uploadsDeleted)],
    ['tags', String(report.tagsDeleted)],
    ['manifests', String(report.manifestsDeleted)],
    ['blobs', String(report.blobsDeleted)],
    ['links', String(report.linksDeleted)],
    ['reclaimed', `${report.bytesReclaimed} bytes`],
    ['in the trash', `${report.bytesInTrash} bytes`],
    ['writes held', `${report.readOnlySeconds} s`],
    ['took', phases.map(([phase, seconds]) => `${phase} ${seconds} s`).join(', ')],
  ];
  return `${rows.map(([name, value]) => `${name.padEnd(14)}${value}`).join('\n')}\n`;
}
