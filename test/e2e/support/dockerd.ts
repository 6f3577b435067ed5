import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { run, succeed, type Outcome } from '../command.ts';
import { waitFor } from '../wait.ts';

/** A docker daemon of its own, and its client. */
export interface Docker {
  /** @throws with what docker said when it fails. */
  docker(...args: readonly string[]): Promise<string>;
  /** As `docker`, for a command that may fail. */
  attempt(...args: readonly string[]): Promise<Outcome>;
  /** A folder for files, removed with the daemon. */
  readonly folder: string;
  /** Writes `daemon.json`, and lets the daemon read it again without a restart. */
  reconfigure(settings: object): void;
}

/**
 * Starts dockerd with no network and with its own `/etc/docker`, which a mount namespace shows to it alone.
 * @param options.authorities the `ca.crt` of registries, by `host:port`.
 * @param options.environment of the daemon, beside our own
 */
export async function startDocker(
  t: TestContext,
  options: {
    readonly authorities?: Readonly<Record<string, string>>;
    readonly environment?: Readonly<Record<string, string>>;
  } = {},
): Promise<Docker> {
  const folder = mkdtempSync(join(tmpdir(), 'docker-'));
  const etc = join(folder, 'etc');
  mkdirSync(etc);
  for (const [host, certificate] of Object.entries(options.authorities ?? {})) {
    mkdirSync(join(etc, 'certs.d', host), { recursive: true });
    writeFileSync(join(etc, 'certs.d', host, 'ca.crt'), certificate);
  }
  const socket = `unix://${join(folder, 'docker.sock')}`;
  const daemon = [
    'dockerd',
    `--host=${socket}`,
    `--data-root=${join(folder, 'data')}`,
    `--exec-root=${join(folder, 'exec')}`,
    `--pidfile=${join(folder, 'pid')}`,
    '--storage-driver=vfs',
    '--bridge=none',
    '--iptables=false',
    '--ip6tables=false',
  ];
  const script = 'mkdir -p /etc/docker && mount --bind "$1" /etc/docker && shift && exec "$@"';
  const child = spawn(
    'unshare',
    ['--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', etc, ...daemon],
    { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, ...options.environment } },
  );
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    rmSync(folder, { recursive: true, force: true });
  });
  const environment = { DOCKER_HOST: socket, DOCKER_CONFIG: join(folder, 'config'), DOCKER_BUILDKIT: '0' };
  const client: Docker = {
    folder,
    docker: (...args) => succeed('/usr/bin/docker', args, { environment, folder }),
    attempt: (...args) => run('/usr/bin/docker', args, { environment, folder }),
    reconfigure(settings) {
      writeFileSync(join(etc, 'daemon.json'), JSON.stringify(settings));
      child.kill('SIGHUP');
    },
  };
  await waitFor(
    'dockerd answers',
    async () => {
      if (child.exitCode !== null)
        throw new Error(`dockerd ended with ${child.exitCode}: ${log.slice(-2000)}`);
      return (await client.attempt('version')).code === 0;
    },
    { timeout: 30_000 },
  );
  return client;
}
