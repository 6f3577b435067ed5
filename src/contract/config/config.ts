import { azureProblems } from './azure-section.ts';
import {
  decodeObject,
  isRawObject,
  type ConfigFile,
  type ConfigProblem,
  type Findings,
  type Raw,
} from './decode.ts';
import { checkAuth } from './auth-section.ts';
import { applyEnvironment } from './environment.ts';
import { gcsProblems } from './gcs-section.ts';
import { checkMiddleware } from './middleware-section.ts';
import { checkMirror } from './mirror-rules.ts';
import { checkNotifications } from './notifications-section.ts';
import { s3Problems } from './s3-section.ts';
import { connectionHeaders } from './http-section.ts';
import { configSchema, type Config } from './schema.ts';
import { swiftProblems } from './swift-section.ts';
import { checkTls } from './tls-section.ts';
import { parseYaml } from './yaml.ts';

export type { Config } from './schema.ts';
export type { ConfigFile, ConfigProblem } from './decode.ts';

export interface ParsedConfig {
  /** Absent when there are errors. */
  readonly config?: Config;
  readonly errors: readonly ConfigProblem[];
  /** Most likely mistakes, which docker distribution ignores without a word. */
  readonly warnings: readonly ConfigProblem[];
  /** What docker distribution has and what is without effect here. */
  readonly notices: readonly ConfigProblem[];
  /** Files that must be readable before the server starts. */
  readonly files: readonly ConfigFile[];
}

/**
 * Reads a registry's configuration: the file's text, overridden by `REGISTRY_…` variables. All errors are found, not the
 * first. An unknown key is a warning, as docker distribution ignores it.
 */
export function parseConfig(
  text: string,
  environment: Readonly<Record<string, string | undefined>> = {},
): ParsedConfig {
  const found: Findings = { errors: [], warnings: [], notices: [], files: [] };
  const document = parseYaml(text, '(document)', found);
  if (document === undefined) return found;
  if (!isRawObject(document) && document !== null) {
    return {
      ...found,
      errors: [{ path: '(document)', message: 'must be a map that begins with version: 0.1' }],
    };
  }
  const overridden = withLogLevel(applyEnvironment(document, environment, found));
  // decodeObject follows the schema, which is what the type is inferred from.
  const decoded = decodeObject(configSchema, overridden, '', found) as Config;
  checkTogether(decoded, found);
  if (found.errors.length > 0) return found;
  return { ...found, config: decoded };
}

/** The old place of log.level counts where the new one is empty. */
function withLogLevel(document: Raw): Raw {
  if (!isRawObject(document) || typeof document['loglevel'] !== 'string') return document;
  const log = document['log'] ?? {};
  if (!isRawObject(log) || (log['level'] ?? '') !== '') return document;
  return { ...document, log: { ...log, level: document['loglevel'] } };
}

/** Rules that concern more than one field. */
function checkTogether(config: Config, found: Findings): void {
  checkDriver(config, found);
  checkDriverOptions(config.storage, found);
  checkCache(config, found);
  checkTls(config.http.tls, found);
  checkAuth(config.auth, config.stevedore.auth, found);
  checkMiddleware(config.middleware, found);
  checkNotifications(config.notifications, config.stevedore.notifications, found);
  checkMirror(config, found);
  for (const [name, values] of Object.entries(config.http.headers)) {
    if (
      !/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name) ||
      values.some((value) => /[^\t\x20-\x7e\x80-\xff]/.test(value))
    ) {
      found.errors.push({ path: `http.headers.${name}`, message: 'is not a valid HTTP header' });
    } else if (connectionHeaders.has(name.toLowerCase())) {
      const message = 'is left out: it is about the connection, which the server manages';
      found.warnings.push({ path: `http.headers.${name}`, message });
    }
  }
  checkAddress('http.addr', config.http.net === 'tcp' ? config.http.addr : undefined, found);
  checkAddress('http.debug.addr', config.http.debug.addr, found);
  checkAddress('stevedore.status.addr', config.stevedore.status?.addr, found);
  for (const [index, { addr }] of config.health.tcp.entries()) {
    checkAddress(`health.tcp.${index}.addr`, addr, found);
  }
}

/** Exactly one driver. */
function checkDriver({ storage, stevedore }: Config, found: Findings): void {
  if (storage.inmemory !== undefined && stevedore.workers > 1) {
    const message = 'each process would have a storage of its own in memory';
    found.errors.push({ path: 'stevedore.workers', message });
  }
  const drivers = Object.entries(storage).filter(
    ([name, options]) => options !== undefined && !notDrivers.has(name),
  );
  if (drivers.length > 1) {
    const names = drivers.map(([name]) => name).join(', ');
    found.errors.push({ path: 'storage', message: `must name one driver, not ${drivers.length}: ${names}` });
  }
  // A driver that cannot be used was reported as such.
  if (drivers.length === 0 && !found.errors.some(({ path }) => path.startsWith('storage'))) {
    const message = 'needs a driver, as in filesystem: {rootdirectory: /var/lib/registry}';
    found.errors.push({ path: 'storage', message });
  }
}

/** Options of a driver that do not fit together; undefined ones are reported already. */
function checkDriverOptions(storage: Config['storage'], found: Findings): void {
  if (found.errors.some(({ path }) => path.startsWith('storage.'))) return;
  const { s3, swift, azure, gcs } = storage;
  const report = (driver: string, problems: readonly { key: string; message: string }[]): void => {
    for (const { key, message } of problems) found.errors.push({ path: `storage.${driver}.${key}`, message });
  };
  if (s3) report('s3', s3Problems(s3));
  if (swift) report('swift', swiftProblems(swift));
  if (azure) report('azure', azureProblems(azure));
  if (gcs) report('gcs', gcsProblems(gcs));
}

function checkCache({ storage, redis }: Config, found: Findings): void {
  const path = 'storage.cache.blobdescriptor';
  switch (storage.cache.blobdescriptor) {
    case undefined:
    case 'inmemory':
      return;
    case 'redis':
      if (redis?.addr === undefined && (redis?.addrs.length ?? 0) === 0) {
        found.errors.push({ path, message: 'needs redis.addr or redis.addrs' });
      }
      return;
    default:
      found.warnings.push({ path, message: 'is neither inmemory nor redis, so nothing is cached' });
  }
}

const notDrivers: ReadonlySet<string> = new Set(['cache', 'delete', 'maintenance', 'redirect', 'tag']);

function checkAddress(path: string, address: string | undefined, found: Findings): void {
  if (address === undefined || found.errors.some((error) => error.path === path)) return;
  if (parseAddress(address) === undefined) {
    found.errors.push({
      path,
      message: `must be host:port, as in :5000 or 127.0.0.1:5000, not ${JSON.stringify(address)}`,
    });
  }
}

/**
 * Splits `host:port`, `:port` and `[v6]:port`.
 * @returns undefined for anything else; `host` is undefined for all addresses.
 */
export function parseAddress(
  text: string,
): { readonly host: string | undefined; readonly port: number } | undefined {
  const match = /^(?:\[([0-9a-fA-F:.%a-z]+)\]|([^:[\]/\s]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) return undefined;
  return { host: match[1] || match[2] || undefined, port };
}
