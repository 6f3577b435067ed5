import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import packageFile from '../package.json' with { type: 'json' };

const checkout = join(import.meta.dirname, '..');

/** A registry server that is measured. */
export interface Contender {
  readonly id: 'stevedore' | 'docker-registry' | 'distribution';
  /** With its version, for the head of a column. */
  readonly title: string;
  readonly command: string;
  readonly environment: Readonly<Record<string, string>>;
}

export interface ServerOptions {
  readonly root: string;
  readonly port: number;
  /** One line a request, as the server does by default; otherwise errors alone. */
  readonly accessLog: boolean;
  /** Makes it a mirror of the registry at this address. */
  readonly remoteUrl?: string;
  /** What goes below `storage`, in place of files in `root`. */
  readonly storage?: object;
}

export function stevedore(): Contender {
  return {
    id: 'stevedore',
    title: `Stevedore ${packageFile.version}`,
    command: join(checkout, 'bin/stevedore'),
    environment: {},
  };
}

/** docker distribution 2.8, as Debian packages it; undefined where it is not installed. */
export function dockerRegistry(): Contender | undefined {
  try {
    return distribution('docker-registry', 'docker-registry', /2\.8\.\d+/);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** A build of docker distribution 3. */
export function distributionThree(command: string): Contender {
  return distribution('distribution', command, /3\.\d+\.\d+/);
}

/** The build in the cache of `scripts/tools`, when it is there: a measurement builds nothing. */
export function builtDistribution(): string | undefined {
  const tools = (...args: string[]): string =>
    execFileSync(join(checkout, 'scripts/tools'), args, { encoding: 'utf8' }).trim();
  return tools('--missing', 'distribution') === '' ? tools('distribution') : undefined;
}

/** The same configuration for each: plain HTTP, no users, the file system. */
export function configuration({ root, port, accessLog, remoteUrl, storage }: ServerOptions): string {
  return `version: 0.1
log:
  level: ${accessLog ? 'info' : 'error'}
  accesslog:
    disabled: ${!accessLog}
storage: ${JSON.stringify(storage ?? { filesystem: { rootdirectory: root } })}
http:
  addr: 127.0.0.1:${port}
${remoteUrl === undefined ? '' : `proxy:\n  remoteurl: ${remoteUrl}\n`}`;
}

function distribution(id: 'docker-registry' | 'distribution', command: string, known: RegExp): Contender {
  const version = execFileSync(command, ['--version'], { encoding: 'utf8' });
  return {
    id,
    title: `${id} ${known.exec(version)?.[0] ?? version.trim()}`,
    command,
    // Version 3 sends traces to a collector, by default, and logs each time that there is none.
    environment: { OTEL_TRACES_EXPORTER: 'none' },
  };
}
