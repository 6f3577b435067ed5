import { FAILSAFE_SCHEMA, YAMLException, load, mergeTag, nullYaml11Tag } from 'js-yaml';
import {
  decodeObject,
  isRawObject,
  type ConfigFile,
  type ConfigProblem,
  type Findings,
  type Raw,
} from './decode.ts';
import { applyEnvironment } from './environment.ts';
import { configSchema, type Config } from './schema.ts';

export type { Config } from './schema.ts';
export type { ConfigFile, ConfigProblem } from './decode.ts';

export interface ParsedConfig {
  /** Absent when there are errors. */
  readonly config?: Config;
  readonly errors: readonly ConfigProblem[];
  readonly warnings: readonly ConfigProblem[];
  /** Files that must be readable before the server starts. */
  readonly files: readonly ConfigFile[];
}

/** Scalars stay strings: whether `0.1`, `yes` or `1h` is text, a number or a duration is the field's to say. */
const untypedScalars = FAILSAFE_SCHEMA.withTags(nullYaml11Tag, mergeTag);

/**
 * Reads a registry's configuration: the file's text, overridden by `REGISTRY_…` variables. All errors are found, not the
 * first. An unknown key is a warning, as docker distribution ignores it; an option of distribution's that this version
 * lacks is an error where ignoring it would change what the server promises.
 */
export function parseConfig(
  text: string,
  environment: Readonly<Record<string, string | undefined>> = {},
): ParsedConfig {
  const found: Findings = { errors: [], warnings: [], files: [] };
  const document = parseYaml(text, '(document)', found);
  if (document === undefined) return found;
  if (!isRawObject(document) && document !== null) {
    return {
      ...found,
      errors: [{ path: '(document)', message: 'must be a map that begins with version: 0.1' }],
    };
  }
  const overridden = applyEnvironment(document, environment, parseYaml, found);
  // decodeObject follows the schema, which is what the type is inferred from.
  const decoded = decodeObject(configSchema, overridden, '', found) as Config;
  checkTogether(decoded, found);
  if (found.errors.length > 0) return found;
  return { ...found, config: decoded };
}

/** Rules that concern more than one field. */
function checkTogether(config: Config, found: Findings): void {
  const failed = (path: string): boolean => found.errors.some((error) => error.path === path);
  // A driver that this version lacks was reported as such.
  if (
    config.storage.filesystem === undefined &&
    !found.errors.some(({ path }) => path.startsWith('storage'))
  ) {
    const message = 'needs a driver, as in filesystem: {rootdirectory: /var/lib/registry}';
    found.errors.push({ path: 'storage', message });
  }
  const tls = config.http.tls;
  for (const name of tls === undefined ? [] : (['certificate', 'key'] as const)) {
    const path = `http.tls.${name}`;
    if (tls?.[name] === undefined && !failed(path))
      found.errors.push({ path, message: 'is required with TLS' });
  }
  if (tls?.minimumtls === 'tls1.0' || tls?.minimumtls === 'tls1.1') {
    found.warnings.push({ path: 'http.tls.minimumtls', message: `${tls.minimumtls} is raised to tls1.2` });
  }
  for (const [name, values] of Object.entries(config.http.headers)) {
    if (
      !/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name) ||
      values.some((value) => /[^\t\x20-\x7e\x80-\xff]/.test(value))
    ) {
      found.errors.push({ path: `http.headers.${name}`, message: 'is not a valid HTTP header' });
    }
  }
  if (/\p{Cc}/u.test(config.auth.htpasswd?.realm ?? '')) {
    found.errors.push({ path: 'auth.htpasswd.realm', message: 'must not hold control characters' });
  }
  checkAddress('http.addr', config.http.net === 'tcp' ? config.http.addr : undefined, found);
  checkAddress('http.debug.addr', config.http.debug.addr, found);
  checkAddress('stevedore.status.addr', config.stevedore.status?.addr, found);
}

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

/** @returns undefined after reporting that the text is no YAML. */
function parseYaml(text: string, path: string, found: Findings): Raw | undefined {
  // js-yaml takes no document for an error; Go takes it for null.
  if (/^\s*(?:#.*\s*)*$/.test(text)) return null;
  try {
    return load(text, { schema: untypedScalars }) as Raw; // maps, lists, strings and nulls are all the schema knows
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const place = error.mark ? ` at line ${error.mark.line + 1}, column ${error.mark.column + 1}` : '';
    found.errors.push({ path, message: `is not YAML: ${error.reason}${place}` });
    return undefined;
  }
}
