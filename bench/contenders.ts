import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

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
}

export function stevedore(): Contender {
  const { version } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as { version: string };
  return {
    id: 'stevedore',
    title: `Stevedore ${version}`,
    command: join(checkout, 'bin/stevedore'),
    environment: {},
  };
}

/** Debian's package of docker distribution 2.8, undefined where it is not installed. */
export function dockerRegistry(): Contender | undefined {
  const command = '/usr/bin/docker-registry';
  if (!existsSync(command)) return undefined;
  return distribution('docker-registry', command, /2\.8\.\d+/);
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
export function configuration({ root, port, accessLog }: ServerOptions): string {
  return `version: 0.1
log:
  level: ${accessLog ? 'info' : 'error'}
  accesslog:
    disabled: ${!accessLog}
storage:
  filesystem:
    rootdirectory: ${root}
http:
  addr: 127.0.0.1:${port}
`;
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
