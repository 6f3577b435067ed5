import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { script } from '../cluster.ts';
import { run, type Outcome } from '../command.ts';
import { waitFor } from '../wait.ts';

/** A containerd of its own, which pulls as a kubelet has it pull. */
export interface Containerd {
  /** What it says of itself. */
  readonly version: string;
  /** Where it looks registries up. */
  readonly certs: string;
  readonly config: string;
  /**
   * Pulls an image, and removes it again so that the next pull fetches it.
   * @param login `user:password` for its registry, as of a pod's secret
   */
  pull(image: string, login?: string): Promise<Outcome>;
}

/** Debian's, and the newest, each with a configuration of its time. */
export const CONTAINERDS = {
  '1.x': {
    program: () => Promise.resolve('/usr/bin/containerd'),
    config: (certs: string) => `version = 2
[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "${certs}"
`,
  },
  '2.x': {
    program: () => tool('containerd'),
    config: (certs: string) => `version = 3
[plugins."io.containerd.nri.v1.nri"]
disable = true
[plugins."io.containerd.cri.v1.images".registry]
config_path = "${certs}"
`,
  },
} as const;

/**
 * Needs root. Runs no containers.
 * @param furtherFolder another one in its `config_path`
 */
export async function startContainerd(
  t: TestContext,
  generation: keyof typeof CONTAINERDS,
  furtherFolder = '',
): Promise<Containerd> {
  const { program, config } = CONTAINERDS[generation];
  const crictl = await tool('crictl');
  const folder = mkdtempSync(join(tmpdir(), 'containerd-'));
  const certs = join(folder, 'certs.d');
  mkdirSync(certs);
  const socket = join(folder, 'sock');
  const file = join(folder, 'config.toml');
  writeFileSync(
    file,
    `${config(`${certs}${furtherFolder && `:${furtherFolder}`}`)}[plugins."io.containerd.internal.v1.opt"]
path = "${folder}/opt"
`,
  );
  const child = spawn(
    await program(),
    ['--config', file, '--address', socket, '--root', join(folder, 'root'), '--state', join(folder, 'state')],
    { stdio: ['ignore', 'ignore', 'pipe'] },
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
  const ask = (...args: readonly string[]) =>
    run(crictl, [`--runtime-endpoint=unix://${socket}`, `--image-endpoint=unix://${socket}`, ...args]);
  const version = await waitFor(
    'containerd answers',
    async () => {
      if (child.exitCode !== null)
        throw new Error(`containerd ended with ${child.exitCode}: ${log.slice(-2000)}`);
      return /RuntimeVersion: +(\S+)/.exec((await ask('version')).stdout)?.[1];
    },
    { timeout: 30_000 },
  );
  return {
    version,
    certs,
    config: file,
    async pull(image, login) {
      const outcome = await ask('pull', ...(login === undefined ? [] : [`--creds=${login}`]), image);
      if (outcome.code === 0) await ask('rmi', image);
      return outcome;
    },
  };
}

async function tool(name: string): Promise<string> {
  const [path] = (await script('tools', [name])).trim().split('\n');
  if (path === undefined) throw new Error('scripts/tools printed no path');
  return path;
}
