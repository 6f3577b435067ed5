import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** How to log in to a registry. */
export type Credentials =
  | { readonly username: string; readonly password: string }
  /** What `docker login` keeps of some registries: a token to get tokens with. */
  | { readonly identityToken: string };

/** Of docker's config.json, what says how to log in. */
interface DockerConfig {
  readonly auths?: Readonly<
    Record<
      string,
      {
        readonly auth?: string;
        readonly username?: string;
        readonly password?: string;
        readonly identitytoken?: string;
      }
    >
  >;
  readonly credHelpers?: Readonly<Record<string, string>>;
  readonly credsStore?: string;
}

/** The name under which docker keeps the credentials of its own registry. */
const DOCKER_HUB = 'https://index.docker.io/v1/';

/** Helpers say so when they know nothing. */
const NOT_FOUND = /credentials not found/i;

/**
 * Looks a registry up in docker's `config.json` (in `DOCKER_CONFIG` or `~/.docker`): a credential helper for it, its entry,
 * then the store of all others.
 * @param host as in `registry.example.com:5000`. @returns undefined when nothing is known.
 * @throws Error when the file is no JSON, or a helper fails.
 */
export async function dockerCredentials(
  host: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<Credentials | undefined> {
  const folder = environment['DOCKER_CONFIG'] ?? join(environment['HOME'] ?? '/', '.docker');
  const config = await readConfig(join(folder, 'config.json'));
  if (config === undefined) return undefined;
  const names = namesOf(host);
  for (const name of names) {
    const helper = config.credHelpers?.[name];
    if (helper !== undefined) return askHelper(`docker-credential-${helper}`, name, environment);
  }
  const entry = entryOf(config, host);
  if (entry !== undefined) return entry;
  return config.credsStore === undefined
    ? undefined
    : askHelper(`docker-credential-${config.credsStore}`, names[0] ?? host, environment);
}

/**
 * What a text like docker's `config.json` says itself, such as a Secret's `.dockerconfigjson`. No helper is run.
 * @returns undefined when it knows nothing of the host. @throws Error when it is not JSON
 */
export function entryCredentials(text: string, host: string): Credentials | undefined {
  return entryOf(JSON.parse(text) as DockerConfig, host); // docker's own format
}

function entryOf({ auths }: DockerConfig, host: string): Credentials | undefined {
  for (const name of namesOf(host)) {
    const entry = auths?.[name] ?? auths?.[`${name}/v2/`] ?? auths?.[`${name}/v1/`];
    const credentials = entry && parseEntry(entry);
    if (credentials) return credentials;
  }
  return undefined;
}

/** As people and programs write a host. */
function namesOf(host: string): readonly string[] {
  const names = host === 'docker.io' ? ['docker.io', 'index.docker.io', 'registry-1.docker.io'] : [host];
  const written = names.flatMap((name) => [name, `https://${name}`, `http://${name}`]);
  return host === 'docker.io' ? [DOCKER_HUB, ...written] : written;
}

/** `user:password`. @returns undefined for anything else. */
export function parseCredentials(text: string): Credentials | undefined {
  const colon = text.indexOf(':');
  if (colon < 1) return undefined;
  return { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

async function readConfig(path: string): Promise<DockerConfig | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return JSON.parse(text) as DockerConfig; // docker's own format
  } catch {
    throw new Error(`${path} is not JSON`);
  }
}

function parseEntry(entry: NonNullable<DockerConfig['auths']>[string]): Credentials | undefined {
  if (entry.identitytoken) return { identityToken: entry.identitytoken };
  if (entry.auth) return parseCredentials(Buffer.from(entry.auth, 'base64').toString().replace(/\0+$/, ''));
  return entry.username === undefined
    ? undefined
    : { username: entry.username, password: entry.password ?? '' };
}

/**
 * docker-credential-helpers: the name on its standard input, JSON on its standard output.
 * @returns undefined when it knows nothing of the name. @throws Error when it cannot be run, or fails.
 */
export async function askHelper(
  program: string,
  name: string,
  environment: Readonly<Record<string, string | undefined>>,
  signal?: AbortSignal,
): Promise<Credentials | undefined> {
  const { code, stdout } = await run(program, name, environment, signal);
  if (code !== 0) {
    if (NOT_FOUND.test(stdout)) return undefined;
    throw new Error(`${program} failed for ${name}`);
  }
  const { Username, Secret } = JSON.parse(stdout) as { readonly Username: string; readonly Secret: string }; // its protocol
  return Username === '<token>' ? { identityToken: Secret } : { username: Username, password: Secret };
}

function run(
  program: string,
  input: string,
  environment: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal | undefined,
): Promise<{ readonly code: number | null; readonly stdout: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, ['get'], {
      env: { ...environment },
      stdio: ['pipe', 'pipe', 'ignore'],
      ...(signal && { signal, killSignal: 'SIGKILL' }),
    });
    let stdout = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.once('error', (cause) =>
      reject(new Error(`${program} cannot be run: ${cause.message}`, { cause })),
    );
    child.once('close', (code) => resolve({ code, stdout }));
    child.stdin.on('error', () => undefined); // it may end without reading
    child.stdin.end(input);
  });
}
