import { writeFile } from 'node:fs/promises';
import { lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { NodePlan, NodePlanEntry, NodeRuntime } from '../../../src/contract/node-plan.ts';
import { parseNodePlan } from '../../../src/contract/node-plan.ts';
import { NodeAgent } from '../../../src/node/agent.ts';
import { hostFiles, type HostFiles } from '../../../src/node/host-files.ts';
import { MirrorWatch } from '../../../src/node/mirror-watch.ts';
import type { Probe } from '../../../src/node/probe.ts';
import { logSink } from '../../support/log-sink.ts';
import { createTestAuthority } from '../../support/test-authority.ts';
import { TestClock } from '../../support/test-clock.ts';

/** Files by path; a path that ends in a slash is an empty folder, and `-> ` begins the target of a link. */
export type Tree = Readonly<Record<string, string>>;

export const CA = (await createTestAuthority()).certificate;
export const OTHER_CA = (await createTestAuthority()).certificate;
export const ENDPOINT = 'https://10.96.0.20:5000';

export function plant(root: string, tree: Tree): void {
  for (const [path, content] of Object.entries(tree)) {
    const file = join(root, path);
    mkdirSync(path.endsWith('/') ? file : dirname(file), { recursive: true });
    if (content.startsWith('-> ')) symlinkSync(content.slice(3), file);
    else if (!path.endsWith('/')) writeFileSync(file, content);
  }
}

export function treeOf(root: string): Tree {
  const tree: Record<string, string> = {};
  const visit = (path: string): void => {
    const names = readdirSync(join(root, path));
    if (names.length === 0 && path !== '') tree[`${path}/`] = '';
    for (const name of names.sort()) {
      const inner = path === '' ? name : `${path}/${name}`;
      const stat = lstatSync(join(root, inner));
      if (stat.isDirectory()) visit(inner);
      else tree[inner] = stat.isSymbolicLink() ? '-> ' : readFileSync(join(root, inner), 'utf8');
    }
  };
  visit('');
  return tree;
}

/** A mirror of docker.io for all nodes, with small changes. */
export function mirrorEntry(change: object = {}): object {
  return {
    id: 'mirror-uid',
    kind: 'RegistryMirror',
    namespace: 'team',
    name: 'cache',
    nodes: 'all',
    runtimes: ['Containerd'],
    hosts: [{ host: 'docker.io', endpoint: ENDPOINT, capabilities: ['pull', 'resolve'] }],
    ca: CA,
    trust: [],
    ...change,
  };
}

/** A registry that is to be trusted on all nodes, with small changes. */
export function trustEntry(change: object = {}): object {
  return {
    id: 'registry-uid',
    kind: 'Registry',
    namespace: 'team',
    name: 'main',
    nodes: 'all',
    runtimes: ['Containerd'],
    hosts: [],
    trust: [{ host: 'registry.example.com:5000', ca: CA }],
    ...change,
  };
}

export function planOf(...entries: readonly object[]): NodePlan {
  return parseNodePlan(JSON.stringify({ entries }));
}

/** As fast as the tests want it: what nobody cuts the power of need not be on the disk. */
export const quickFiles: HostFiles = {
  ...hostFiles,
  write: (name, text, mode) => writeFile(name, text, { flag: 'wx', mode }),
  sync: () => Promise.resolve(),
};

export interface Bench {
  readonly agent: NodeAgent;
  readonly clock: TestClock;
  plan: NodePlan | { readonly entries: readonly NodePlanEntry[] } | string | undefined;
  probe: Probe;
  problem: string | undefined;
}

/** An agent of node-1 on a folder for each runtime that `folders` names. */
export function benchOf(
  folders: Partial<Record<NodeRuntime, string>>,
  options: { readonly files?: HostFiles; readonly plan?: NodePlan } = {},
): Bench {
  const clock = new TestClock();
  const { files = quickFiles } = options;
  const shown = { Containerd: '/etc/containerd/certs.d', Docker: '/etc/docker/certs.d' };
  const bench: Bench = {
    clock,
    plan: options.plan,
    probe: () => Promise.resolve(undefined),
    problem: undefined,
    agent: new NodeAgent({
      node: 'node-1',
      readPlan: () =>
        Promise.resolve(typeof bench.plan === 'object' ? JSON.stringify(bench.plan) : bench.plan),
      folders: (['Containerd', 'Docker'] as const).flatMap((runtime) => {
        const path = folders[runtime];
        return path === undefined ? [] : [{ files, path, runtime, shown: shown[runtime] }];
      }),
      containerdProblem: () => Promise.resolve(bench.problem),
      mirrors: new MirrorWatch((target) => bench.probe(target), clock),
      clock,
      log: logSink().log,
    }),
  };
  return bench;
}

/** So many looks, each two seconds after the other. */
export async function look(bench: Bench, times = 1): Promise<void> {
  for (let time = 0; time < times; time++) {
    await bench.agent.look();
    await bench.clock.advance(2000);
  }
}
