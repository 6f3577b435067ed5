import { parseConfig, type ConfigProblem } from '../contract/config/config.ts';

/**
 * What `spec.config` may set, each with all that is below it. Left out are places of content and credentials, listeners,
 * files, programs, addresses that the server would ask (health.http, health.tcp), who may use it, and what the
 * resource has a field for that must agree with other objects.
 */
const ALLOWED_CONFIG: readonly string[] = [
  'catalog',
  'health.storagedriver',
  'http.headers',
  'http.host',
  'http.http2',
  'http.relativeurls',
  'log',
  'notifications.events',
  'policy',
  'redis.clientname',
  'redis.dialtimeout',
  'redis.maxretries',
  'redis.maxretrybackoff',
  'redis.minretrybackoff',
  'redis.protocol',
  'redis.readtimeout',
  'redis.writetimeout',
  'stevedore.compatibility',
  'stevedore.limits',
  'stevedore.notifications.attempts',
  'stevedore.notifications.maxpending',
  'storage.azure.max_retries',
  'storage.azure.retry_delay',
  'storage.cache.blobdescriptorsize',
  'storage.gcs.chunksize',
  'storage.gcs.maxconcurrency',
  'storage.gcs.useragent',
  'storage.maintenance.uploadpurging',
  'storage.oss.chunksize',
  'storage.redirect',
  'storage.s3.accelerate',
  'storage.s3.chunksize',
  'storage.s3.loglevel',
  'storage.s3.multipartcopychunksize',
  'storage.s3.multipartcopymaxconcurrency',
  'storage.s3.multipartcopythresholdsize',
  'storage.s3.objectacl',
  'storage.s3.redirectendpoint',
  'storage.s3.usedualstack',
  'storage.s3.usefipsendpoint',
  'storage.s3.useragent',
  'storage.s3.v4auth',
  'storage.swift.chunksize',
  'storage.swift.domainid',
  'storage.swift.tempurlcontainerkey',
  'storage.swift.tempurlmethods',
  'storage.swift.tenantdomainid',
  'storage.swift.tenantid',
  'storage.swift.trustid',
  'storage.tag',
  'tags',
  'validation',
];

type Tree = Readonly<Record<string, unknown>>;

/** `base` with what `overrides` sets: maps are merged, all else is replaced. */
export function mergeConfig(base: Tree, overrides: Tree): Tree {
  const merged = new Map(Object.entries(base));
  for (const [key, value] of Object.entries(overrides)) {
    const present = merged.get(key);
    merged.set(key, isTree(present) && isTree(value) ? mergeConfig(present, value) : value);
  }
  return Object.fromEntries(merged);
}

/**
 * What is wrong with a configuration, for people; undefined when nothing is. What docker distribution would ignore is
 * wrong here, since nobody reads the log of a server that starts.
 *
 * @param overrides `spec.config`
 * @param file the whole configuration with `overrides` in it
 * @param environment the variables that the server gets; no message tells a value that is secret
 */
export function configFlaw(
  overrides: Tree,
  file: string,
  environment: Readonly<Record<string, string>>,
): string | undefined {
  const refused = leavesOf(overrides, '').filter(
    (path) => !ALLOWED_CONFIG.some((allowed) => path === allowed || path.startsWith(`${allowed}.`)),
  );
  if (refused.length > 0) {
    return `spec.config may not set ${refused.join(', ')}: remove it, or use the field that the resource has for it.`;
  }
  const { errors, warnings } = parseConfig(file, environment);
  const problems = [...errors, ...warnings];
  return problems.length === 0 ? undefined : `The server would not start with this: ${told(problems)}.`;
}

function told(problems: readonly ConfigProblem[]): string {
  return problems.map(({ path, message }) => `${path} ${message.replace(' and is ignored', '')}`).join('; ');
}

/** The paths of everything that is no map, and of maps without anything. */
function leavesOf(tree: Tree, path: string): readonly string[] {
  return Object.entries(tree).flatMap(([key, value]) => {
    const own = path === '' ? key : `${path}.${key}`;
    return isTree(value) && Object.keys(value).length > 0 ? leavesOf(value, own) : [own];
  });
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
