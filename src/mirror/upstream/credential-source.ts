import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { askHelper, entryCredentials, type Credentials } from '../../oci-client/credentials.ts';
import type { Clock } from '../../process/clock.ts';

/** Where the credentials for an upstream come from. */
export type CredentialSettings =
  | { readonly username: string; readonly password: string }
  /** With files `username` and `password`, or `.dockerconfigjson`, as a Secret is mounted. */
  | { readonly folder: string }
  /** A credential helper of docker, and for how many milliseconds its answer holds: 0 not at all, undefined for good. */
  | { readonly command: string; readonly lifetime: number | undefined };

/** How long a helper may take; milliseconds. */
const HELPER_TIME = 30_000;

/** @returns the credentials at the moment of the call. @throws Error when there are none, though there should be. */
export type CredentialSource = () => Promise<Credentials>;

/** @param hosts under which a folder or a helper may know the upstream, most likely first. */
export function credentialSource(
  settings: CredentialSettings,
  hosts: readonly string[],
  deps: { readonly clock: Clock; readonly environment: Readonly<Record<string, string | undefined>> },
): CredentialSource {
  if ('folder' in settings) return () => readFolder(settings.folder, hosts);
  if ('command' in settings) return helperSource(settings, hosts[0] ?? '', deps);
  return () => Promise.resolve(settings);
}

async function readFolder(folder: string, hosts: readonly string[]): Promise<Credentials> {
  const text = await readIfThere(join(folder, '.dockerconfigjson'));
  if (text !== undefined) {
    for (const host of hosts) {
      const credentials = entryCredentials(text, host);
      if (credentials !== undefined) return credentials;
    }
    throw new Error(`.dockerconfigjson in ${folder} knows nothing of ${hosts.join(' or ')}`);
  }
  // Files that people write end in a newline.
  const [username, password] = await Promise.all(
    ['username', 'password'].map(async (name) =>
      (await readFile(join(folder, name), 'utf8')).replace(/\r?\n$/, ''),
    ),
  );
  return { username: username ?? '', password: password ?? '' };
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function helperSource(
  { command, lifetime = Infinity }: { readonly command: string; readonly lifetime: number | undefined },
  host: string,
  {
    clock,
    environment,
  }: { readonly clock: Clock; readonly environment: Readonly<Record<string, string | undefined>> },
): CredentialSource {
  let known: { readonly credentials: Credentials; readonly until: number } | undefined;
  let asked: Promise<Credentials> | undefined;
  const ask = async (): Promise<Credentials> => {
    const credentials = await askHelper(command, host, environment, AbortSignal.timeout(HELPER_TIME));
    if (credentials === undefined) throw new Error(`${command} knows nothing of ${host}`);
    known = { credentials, until: clock.monotonic() + lifetime };
    return credentials;
  };
  return async () => {
    if (known !== undefined && clock.monotonic() < known.until) return known.credentials;
    asked ??= ask().finally(() => (asked = undefined));
    return asked;
  };
}
