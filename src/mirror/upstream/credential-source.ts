import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { UpstreamCredentials } from '../../contract/config/mirror-settings.ts';
import { askHelper, entryCredentials, type Credentials } from '../../oci-client/credentials.ts';
import type { Clock } from '../../process/clock.ts';

/** How long a helper may take; milliseconds. */
const HELPER_TIME = 30_000;

/** A helper is not run for each of many refusals, which may be of what nobody may have; milliseconds. */
const SHORTEST_LIFE_OF_REFUSED = 60_000;

export interface CredentialSource {
  /** @throws Error when there are none, though there should be. */
  current(): Promise<Credentials>;
  /** Those of the moment are not taken: there may be others. */
  wasRefused(): void;
}

interface HelperDependencies {
  readonly clock: Clock;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** @param hosts under which a folder or a helper may know the upstream, most likely first. */
export function credentialSource(
  settings: UpstreamCredentials,
  hosts: readonly string[],
  deps: HelperDependencies,
): CredentialSource {
  if ('command' in settings) return new Helper(settings, hosts[0] ?? '', deps);
  const current = (): Promise<Credentials> =>
    'folder' in settings ? readFolder(settings.folder, hosts) : Promise.resolve(settings);
  return { current, wasRefused: () => undefined };
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

/** The program is run once for all that wait for it. */
class Helper implements CredentialSource {
  readonly #command: string;
  readonly #lifetime: number;
  readonly #host: string;
  readonly #deps: HelperDependencies;
  #known: { readonly credentials: Credentials; readonly since: number; readonly until: number } | undefined;
  #asked: Promise<Credentials> | undefined;

  constructor(
    { command, lifetime = Infinity }: { readonly command: string; readonly lifetime: number | undefined },
    host: string,
    deps: HelperDependencies,
  ) {
    this.#command = command;
    this.#lifetime = lifetime;
    this.#host = host;
    this.#deps = deps;
  }

  async current(): Promise<Credentials> {
    if (this.#known !== undefined && this.#deps.clock.monotonic() < this.#known.until) {
      return this.#known.credentials;
    }
    this.#asked ??= this.#ask();
    return this.#asked;
  }

  wasRefused(): void {
    const { clock } = this.#deps;
    if (this.#known && clock.monotonic() - this.#known.since >= SHORTEST_LIFE_OF_REFUSED) {
      this.#known = undefined;
    }
  }

  async #ask(): Promise<Credentials> {
    const { clock, environment } = this.#deps;
    try {
      const signal = AbortSignal.timeout(HELPER_TIME);
      const credentials = await askHelper(this.#command, this.#host, environment, signal);
      if (credentials === undefined) throw new Error(`${this.#command} knows nothing of ${this.#host}`);
      const since = clock.monotonic();
      this.#known = { credentials, since, until: since + this.#lifetime };
      return credentials;
    } finally {
      this.#asked = undefined;
    }
  }
}
