import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { NodePlan } from '../../../src/contract/node-plan.ts';
import type { HostFiles } from '../../../src/node/host-files.ts';
import { containerdView } from './containerd-view.ts';
import {
  benchOf,
  CA,
  look,
  mirrorEntry,
  OTHER_CA,
  plant,
  planOf,
  quickFiles,
  treeOf,
  trustEntry,
  type Tree,
} from './node-tree.ts';

/** Steps that change something. */
const CHANGES = ['write', 'rename', 'remove', 'makeFolder', 'removeFolder'] as const;

class PowerCut extends Error {}

/** Does so many steps; the next one is cut off, half done where that is possible, and so is everything after it. */
function cutAfter(steps: number): HostFiles & { readonly wasCut: boolean } {
  let left = steps;
  const state = { wasCut: false };
  const step = (halfDone?: () => void): void => {
    if (left-- > 0) return;
    if (!state.wasCut) halfDone?.();
    state.wasCut = true;
    throw new PowerCut('cut');
  };
  const cut = (name: (typeof CHANGES)[number]) =>
    async function (first: string, text = '', mode = 0): Promise<void> {
      step(name === 'write' ? () => writeFileSync(first, text.slice(0, text.length / 2)) : undefined);
      await quickFiles[name](first, text, mode);
    };
  return {
    ...quickFiles,
    ...Object.fromEntries(CHANGES.map((name) => [name, cut(name)])),
    get wasCut() {
      return state.wasCut;
    },
  };
}

const HOST = 'docker.io';
const REGISTRY = 'registry.example.com:5000';
const mirror = { host: HOST, endpoint: 'https://10.96.0.20:5000', capabilities: ['pull', 'resolve'] };
const both = planOf(mirrorEntry(), trustEntry());
const FOREIGN: Tree = {
  'quay.io/hosts.toml': 'server = "https://quay.io"\nca = "own.pem"\n[host]\n',
  'quay.io/own.pem': OTHER_CA,
  'ghcr.io/ca.crt': OTHER_CA,
};

/** From one plan, that an agent has followed, to another. */
const moves: Readonly<Record<string, readonly [from: NodePlan, to: NodePlan]>> = {
  'a mirror and a trusted registry come': [planOf(), both],
  'a mirror and a trusted registry go': [both, planOf()],
  'a mirror gets another authority and another address': [
    both,
    planOf(
      mirrorEntry({ ca: OTHER_CA, hosts: [{ ...mirror, endpoint: 'https://10.96.0.21:5000' }] }),
      trustEntry(),
    ),
  ],
  'a mirror gets an authority': [planOf(mirrorEntry({ ca: undefined })), both],
  'a mirror needs no authority any more': [both, planOf(mirrorEntry({ ca: undefined }), trustEntry())],
  'a mirror without authority goes': [planOf(mirrorEntry({ ca: undefined })), planOf()],
  'a trusted registry gets a mirror as well': [
    planOf(trustEntry()),
    planOf(trustEntry(), mirrorEntry({ hosts: [{ ...mirror, host: REGISTRY }] })),
  ],
  'a trusted registry loses its mirror': [
    planOf(trustEntry(), mirrorEntry({ hosts: [{ ...mirror, host: REGISTRY }] })),
    planOf(trustEntry()),
  ],
  'an authority is changed': [
    both,
    planOf(mirrorEntry(), trustEntry({ trust: [{ host: REGISTRY, ca: OTHER_CA }] })),
  ],
};

for (const [title, [from, to]] of Object.entries(moves)) {
  test(`after a crash at any step pulls go on, and the next agent ends what was begun: ${title}`, async () => {
    const expected = await endOf(from, to, Number.POSITIVE_INFINITY);
    let steps = 0;
    for (; ; steps++) {
      const end = await endOf(from, to, steps);
      assert.deepEqual(end.tree, expected.tree, `cut after ${steps} steps`);
      if (!end.wasCut) break;
    }
    assert.ok(steps > 0, 'nothing was done');
  });
}

async function endOf(from: NodePlan, to: NodePlan, steps: number) {
  const root = mkdtempSync(join(tmpdir(), 'stevedore-test-'));
  try {
    plant(root, FOREIGN);
    await look(benchOf({ Containerd: root }, { plan: from }), 3);
    const files = cutAfter(steps);
    const interrupted = benchOf({ Containerd: root }, { plan: to, files });
    for (let time = 0; time < 3 && !files.wasCut; time++) {
      await look(interrupted);
      assertPullsGoOn(root, `after ${steps} steps`);
    }
    assertPullsGoOn(root, `after ${steps} steps`);
    await look(benchOf({ Containerd: root }, { plan: to }), 3);
    return { tree: treeOf(root), wasCut: files.wasCut };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function assertPullsGoOn(root: string, when: string): void {
  for (const host of [HOST, REGISTRY, 'quay.io', 'ghcr.io', 'other.example.com']) {
    const view = containerdView(root, host);
    assert.notEqual(view.pulls, 'broken', `${host} ${when}: ${view.pulls === 'broken' ? view.why : ''}`);
  }
  assert.deepEqual(containerdView(root, 'quay.io'), { pulls: 'direct', trusts: [OTHER_CA] });
  assert.deepEqual(containerdView(root, 'ghcr.io'), { pulls: 'direct', trusts: [OTHER_CA] });
}

test('no authority of a mirror is ever trusted for the registry itself', async () => {
  for (let steps = 0; steps < 30; steps++) {
    const root = mkdtempSync(join(tmpdir(), 'stevedore-test-'));
    try {
      await look(benchOf({ Containerd: root }, { plan: planOf(mirrorEntry()), files: cutAfter(steps) }), 2);
      const view = containerdView(root, HOST);
      if (view.pulls === 'direct') assert.deepEqual(view.trusts, []);
      else
        assert.match(
          view.pulls === 'mirror' ? (view.trusts[0] ?? '') : view.why,
          new RegExp(CA.slice(30, 60).replace(/[+/\n]/g, '.')),
        );
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  }
});
