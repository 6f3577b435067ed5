import { createHash } from 'node:crypto';
import { access, constants, readFile } from 'node:fs/promises';
import { parseConfig, type Config, type ConfigFile, type ConfigProblem } from '../contract/config/config.ts';
import { CONFIG_PATH_VARIABLE } from '../contract/config/environment.ts';
import { UsageError, type Invocation } from './command.ts';

export interface LoadedConfig {
  readonly config: Config;
  /** SHA-256 of the file, in hex. */
  readonly hash: string;
  readonly warnings: readonly ConfigProblem[];
  readonly notices: readonly ConfigProblem[];
}

/**
 * Reads the configuration that CONFIG or REGISTRY_CONFIGURATION_PATH names, with the environment's overrides.
 * @returns undefined after printing every error with its path: exit with 2.
 */
export async function readConfig(invocation: Invocation): Promise<Config | undefined> {
  return (await load(invocation, () => Promise.resolve([])))?.config;
}

/** As readConfig, and checks that the files which a server reads at its start can be read. */
export function readServerConfig(invocation: Invocation): Promise<LoadedConfig | undefined> {
  return load(invocation, unreadableFiles);
}

/** Prints what is wrong with a configuration, a line each. */
export function printProblems(
  out: NodeJS.WritableStream,
  name: string,
  problems: readonly ConfigProblem[],
): void {
  for (const { path, message } of problems) out.write(`${name}: ${path} ${message}\n`);
}

async function load(
  invocation: Invocation,
  checkFiles: (files: readonly ConfigFile[]) => Promise<readonly ConfigProblem[]>,
): Promise<LoadedConfig | undefined> {
  const name = configName(invocation);
  let bytes: Buffer;
  try {
    bytes = await readFile(name);
  } catch (error) {
    invocation.stderr.write(`${name}: cannot be read: ${reasonOf(error)}\n`);
    return undefined;
  }
  const { config, errors, warnings, notices, files } = parseConfig(
    bytes.toString('utf8'),
    invocation.environment,
  );
  const problems = [...errors, ...(await checkFiles(files))];
  if (config === undefined || problems.length > 0) {
    printProblems(invocation.stderr, name, problems);
    return undefined;
  }
  return { config, warnings, notices, hash: createHash('sha256').update(bytes).digest('hex') };
}

function configName({ positionals, environment }: Invocation): string {
  if (positionals.length > 1) throw new UsageError(`one CONFIG, not ${positionals.length}`);
  const name = positionals[0] ?? environment[CONFIG_PATH_VARIABLE];
  if (!name) throw new UsageError(`CONFIG is missing, and ${CONFIG_PATH_VARIABLE} is not set`);
  return name;
}

async function unreadableFiles(files: readonly ConfigFile[]): Promise<readonly ConfigProblem[]> {
  const checks = files.map(async ({ path, file }): Promise<ConfigProblem[]> => {
    try {
      await access(file, constants.R_OK);
      return [];
    } catch (error) {
      return [{ path, message: `names ${file}, which cannot be read: ${reasonOf(error)}` }];
    }
  });
  return (await Promise.all(checks)).flat();
}

function reasonOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
