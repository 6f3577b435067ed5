import { createHash } from 'node:crypto';
import { access, constants, readFile } from 'node:fs/promises';
import { parseAccessRules } from '../contract/access-rules.ts';
import { parseConfig, type Config, type ConfigFile, type ConfigProblem } from '../contract/config/config.ts';
import { CONFIG_PATH_VARIABLE } from '../contract/config/environment.ts';
import { UsageError, type Invocation } from './command.ts';

export interface ConfigReading {
  /** As the arguments or the environment name it. */
  readonly file: string;
  /** Absent when something is wrong. */
  readonly config?: Config;
  /** SHA-256 of the file, in hex. */
  readonly hash: string;
  readonly errors: readonly ConfigProblem[];
  readonly warnings: readonly ConfigProblem[];
  readonly notices: readonly ConfigProblem[];
}

/** A configuration without errors. */
export interface LoadedConfig extends ConfigReading {
  readonly config: Config;
}

export interface ReadOptions {
  /** Looks whether the files that a server reads at its start can be read. */
  readonly checkFiles: boolean;
  /** Takes warnings for errors: what docker distribution ignores is most likely a mistake. */
  readonly strict: boolean;
}

/**
 * Reads the configuration that CONFIG or REGISTRY_CONFIGURATION_PATH names, with the environment's overrides.
 * @returns undefined after printing everything that is wrong with it: exit with 2.
 */
export async function readConfig(
  invocation: Invocation,
  options: ReadOptions = { checkFiles: false, strict: false },
): Promise<LoadedConfig | undefined> {
  const reading = await findProblems(invocation, options);
  const { config } = reading;
  if (config !== undefined) return { ...reading, config };
  printProblems(invocation.stderr, reading);
  return undefined;
}

/** As readConfig, and leaves the printing to the caller. */
export async function findProblems(invocation: Invocation, options: ReadOptions): Promise<ConfigReading> {
  const file = configName(invocation);
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    const errors = [{ path: '', message: `cannot be read: ${reasonOf(error)}` }];
    return { file, hash: '', errors, warnings: [], notices: [] };
  }
  const parsed = parseConfig(bytes.toString('utf8'), invocation.environment);
  const { config, warnings, notices } = parsed;
  const errors = [
    ...parsed.errors,
    ...(options.checkFiles ? await wrongFiles(parsed.files) : []),
    ...(options.strict ? warnings : []),
  ];
  return {
    file,
    hash: createHash('sha256').update(bytes).digest('hex'),
    errors,
    warnings: options.strict ? [] : warnings,
    notices,
    ...(config !== undefined && errors.length === 0 && { config }),
  };
}

/** Prints what is wrong with a configuration, a line each. */
export function printProblems(
  out: NodeJS.WritableStream,
  { file, errors, warnings, notices }: Pick<ConfigReading, 'file' | 'errors' | 'warnings' | 'notices'>,
): void {
  const print = (kind: string, problems: readonly ConfigProblem[]): void => {
    for (const { path, message } of problems) out.write(`${file}: ${kind}${`${path} ${message}`.trim()}\n`);
  };
  print('', errors);
  print('warning: ', warnings);
  print('note: ', notices);
}

function configName({ positionals, environment }: Invocation): string {
  if (positionals.length > 1) throw new UsageError(`one CONFIG, not ${positionals.length}`);
  const name = positionals[0] ?? environment[CONFIG_PATH_VARIABLE];
  if (!name) throw new UsageError(`CONFIG is missing, and ${CONFIG_PATH_VARIABLE} is not set`);
  return name;
}

/** Files that are written by hand as the configuration is: what is wrong in them is told with it. Each throws an Error. */
const parsers: Readonly<Record<string, (text: string) => unknown>> = {
  'stevedore.auth.access': parseAccessRules,
};

async function wrongFiles(files: readonly ConfigFile[]): Promise<readonly ConfigProblem[]> {
  const checks = files.map(async ({ path, file }): Promise<ConfigProblem[]> => {
    const parse = parsers[path];
    let text = '';
    try {
      if (parse === undefined) await access(file, constants.R_OK);
      else text = await readFile(file, 'utf8');
    } catch (error) {
      return [{ path, message: `names ${file}, which cannot be read: ${reasonOf(error)}` }];
    }
    try {
      parse?.(text);
      return [];
    } catch (error) {
      return [{ path, message: `names ${file}: ${error instanceof Error ? error.message : String(error)}` }];
    }
  });
  return (await Promise.all(checks)).flat();
}

function reasonOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
