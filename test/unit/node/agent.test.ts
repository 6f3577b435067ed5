import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { NodePlan } from '../../../src/contract/node-plan.ts';
import type { NodeReportEntry } from '../../../src/contract/node-report.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';
import { containerdView } from './containerd-view.ts';
import {
  benchOf,
  CA,
  ENDPOINT,
  look,
  mirrorEntry,
  OTHER_CA,
  plant,
  planOf,
  treeOf,
  trustEntry,
  type Bench,
  type Tree,
} from './node-tree.ts';

const MIRROR_LINES = `# managed-by: stevedore uid=mirror-uid
# RegistryMirror team/cache. Without the line above, it is left as it is.
`;
const TRUST_LINES = `# managed-by: stevedore uid=registry-uid
# Registry team/main. Without the line above, it is left as it is.
`;
const mirrorBlock = (endpoint = ENDPOINT) => `
[host."${endpoint}"]
capabilities = [ "pull", "resolve" ]
ca = "stevedore-mirror.pem"
dial_timeout = "1s"
`;
const MIRRORED: Tree = {
  'docker.io/hosts.toml': `${MIRROR_LINES}server = "https://registry-1.docker.io"
${mirrorBlock()}`,
  'docker.io/stevedore-mirror.pem': `${MIRROR_LINES}${CA}`,
};
const REGISTRY = 'registry.example.com:5000';
const TRUSTED: Tree = {
  [`${REGISTRY}/hosts.toml`]: `${TRUST_LINES}server = "https://${REGISTRY}"
ca = "stevedore-trust.pem"

[host]
`,
  [`${REGISTRY}/stevedore-trust.pem`]: `${TRUST_LINES}${CA}`,
};
const SOMEBODY: Tree = { 'quay.io/hosts.toml': 'server = "https://quay.io"\n', 'quay.io/own.pem': 'x' };

const dead = () => Promise.resolve('connect ECONNREFUSED 10.96.0.20:5000');

interface Row {
  readonly title: string;
  readonly before?: Tree;
  readonly plan: NodePlan | undefined | string;
  readonly probe?: Bench['probe'];
  readonly problem?: string;
  readonly looks?: number;
  readonly after: Tree;
  readonly report: readonly (readonly [host: string, state: NodeReportEntry['state'], message?: RegExp])[];
}

const rows: readonly Row[] = [
  {
    title: 'A mirror that answers is written, with its authority beside it',
    before: SOMEBODY,
    plan: planOf(mirrorEntry()),
    after: { ...SOMEBODY, ...MIRRORED },
    report: [['docker.io', 'Applied']],
  },
  {
    title: 'A mirror that does not answer is not written',
    plan: planOf(mirrorEntry()),
    probe: dead,
    after: {},
    report: [
      ['docker.io', 'Waiting', /does not serve this node: connect ECONNREFUSED.* from docker\.io itself/],
    ],
  },
  {
    title: 'An authority is trusted without asking anybody',
    plan: planOf(trustEntry()),
    probe: dead,
    after: TRUSTED,
    report: [[REGISTRY, 'Applied']],
  },
  {
    title: 'A registry can be mirrored and trusted at once',
    plan: planOf(
      mirrorEntry({ hosts: [{ host: REGISTRY, endpoint: ENDPOINT, capabilities: ['pull', 'resolve'] }] }),
      trustEntry({ trust: [{ host: REGISTRY, ca: OTHER_CA }] }),
    ),
    after: {
      [`${REGISTRY}/hosts.toml`]: `# managed-by: stevedore uid=mirror-uid,registry-uid
# RegistryMirror team/cache. Without the line above, it is left as it is.
# Registry team/main. Without the line above, it is left as it is.
server = "https://${REGISTRY}"
ca = "stevedore-trust.pem"
${mirrorBlock()}`,
      [`${REGISTRY}/stevedore-mirror.pem`]: `${MIRROR_LINES}${CA}`,
      [`${REGISTRY}/stevedore-trust.pem`]: `${TRUST_LINES}${OTHER_CA}`,
    },
    report: [
      [REGISTRY, 'Applied'],
      [REGISTRY, 'Applied'],
    ],
  },
  {
    title: 'Entries for other nodes are none of this one',
    before: MIRRORED,
    plan: planOf(mirrorEntry({ nodes: ['node-2'] }), trustEntry({ nodes: ['node-1'] })),
    looks: 2,
    after: TRUSTED,
    report: [[REGISTRY, 'Applied']],
  },
  {
    title: 'What no plan asks for any more goes, and what is of others stays',
    before: { ...SOMEBODY, ...MIRRORED, ...TRUSTED, 'empty/': '' },
    plan: planOf(),
    looks: 2,
    after: { ...SOMEBODY, 'empty/': '' },
    report: [],
  },
  {
    title: 'hosts.toml goes first, and what it named at the next look',
    before: MIRRORED,
    plan: planOf(),
    after: { 'docker.io/stevedore-mirror.pem': `${MIRROR_LINES}${CA}` },
    report: [['docker.io', 'Removing']],
  },
  {
    title: 'Without a plan nothing is removed',
    before: MIRRORED,
    plan: undefined,
    looks: 2,
    after: MIRRORED,
    report: [],
  },
  {
    title: 'A plan that can not be read removes nothing',
    before: MIRRORED,
    plan: '{"entries": [{}]}',
    looks: 2,
    after: MIRRORED,
    report: [],
  },
  {
    title: 'A folder of somebody else is left alone',
    before: { 'docker.io/hosts.toml': 'server = "https://mirror.example.com"\n' },
    plan: planOf(mirrorEntry()),
    after: { 'docker.io/hosts.toml': 'server = "https://mirror.example.com"\n' },
    report: [
      [
        'docker.io',
        'Conflict',
        /^\/etc\/containerd\/certs\.d\/docker\.io holds hosts\.toml, which somebody else/,
      ],
    ],
  },
  {
    title:
      'A folder in which somebody else has put a certificate is left alone: hosts.toml would switch it off',
    before: { 'docker.io/ca.crt': CA },
    plan: planOf(mirrorEntry()),
    after: { 'docker.io/ca.crt': CA },
    report: [['docker.io', 'Conflict', /holds ca\.crt/]],
  },
  {
    title: 'Our files leave a folder in which somebody else has put something',
    before: { ...MIRRORED, 'docker.io/client.cert': 'x' },
    plan: planOf(mirrorEntry()),
    looks: 2,
    after: { 'docker.io/client.cert': 'x' },
    report: [['docker.io', 'Conflict', /holds client\.cert/]],
  },
  {
    title: 'hosts.toml without its first line belongs to whoever took it away',
    before: { ...MIRRORED, 'docker.io/hosts.toml': 'server = "https://registry-1.docker.io"\n' },
    plan: planOf(mirrorEntry()),
    looks: 2,
    after: { 'docker.io/hosts.toml': 'server = "https://registry-1.docker.io"\n' },
    report: [['docker.io', 'Conflict', /holds hosts\.toml/]],
  },
  {
    title: '_default of somebody else is not hidden',
    before: { '_default/hosts.toml': '[host."https://all.example.com"]\n' },
    plan: planOf(mirrorEntry()),
    after: { '_default/hosts.toml': '[host."https://all.example.com"]\n' },
    report: [['docker.io', 'Conflict', /_default is there, and no longer holds for docker\.io/]],
  },
  {
    title: 'A folder that containerd reads before ours is a conflict',
    before: { 'registry.example.com_5000_/': '' },
    plan: planOf(trustEntry()),
    after: { 'registry.example.com_5000_/': '' },
    report: [[REGISTRY, 'Conflict', /registry\.example\.com_5000_, which goes before/]],
  },
  {
    title: 'What Spegel rules is left to it',
    before: { '_backup/docker.io/hosts.toml': 'x' },
    plan: planOf(mirrorEntry()),
    after: { '_backup/docker.io/hosts.toml': 'x' },
    report: [['docker.io', 'Conflict', /^Spegel has/]],
  },
  {
    title: 'A link is no folder of ours',
    before: { 'elsewhere/hosts.toml': 'x', 'docker.io': '-> elsewhere' },
    plan: planOf(mirrorEntry()),
    after: { 'elsewhere/hosts.toml': 'x', 'docker.io': '-> ' },
    report: [['docker.io', 'Conflict', /docker\.io is no folder/]],
  },
  {
    title: 'An empty folder is as good as none',
    before: { 'docker.io/': '' },
    plan: planOf(mirrorEntry()),
    after: MIRRORED,
    report: [['docker.io', 'Applied']],
  },
  {
    title: 'What others have changed in ours or removed from it is written again',
    before: {
      'docker.io/hosts.toml': `${MIRROR_LINES}server = "https://wrong"\n`,
      'docker.io/.stevedore-hosts.toml': '',
    },
    plan: planOf(mirrorEntry()),
    after: MIRRORED,
    report: [['docker.io', 'Applied']],
  },
  {
    title: 'Of two mirrors of a registry the first in the plan has it',
    plan: planOf(mirrorEntry(), mirrorEntry({ id: 'late-uid', name: 'late' })),
    after: MIRRORED,
    report: [
      ['docker.io', 'Applied'],
      ['docker.io', 'Conflict', /^RegistryMirror team\/cache has docker\.io on this node already/],
    ],
  },
  {
    title: 'What containerd is not configured to read is written, and said to be without effect',
    plan: planOf(mirrorEntry()),
    problem: 'containerd reads /other.',
    after: MIRRORED,
    report: [['docker.io', 'NotEffective', /^containerd reads \/other\.$/]],
  },
  {
    title: 'A mirror for a runtime that the agent has no folder of is told of',
    plan: planOf(mirrorEntry({ runtimes: ['Docker'] }), trustEntry({ runtimes: ['Containerd', 'Docker'] })),
    after: TRUSTED,
    report: [
      [REGISTRY, 'Applied'],
      ['docker.io', 'NotEffective', /leave Docker alone: see nodeAccess/],
    ],
  },
];

for (const row of rows) {
  test(row.title, () =>
    withTemporaryFolder(async (root) => {
      plant(root, row.before ?? {});
      const bench = benchOf({ Containerd: root });
      bench.plan = row.plan;
      bench.problem = row.problem;
      if (row.probe) bench.probe = row.probe;
      await look(bench, row.looks);
      assert.deepEqual(treeOf(root), sorted(row.after));
      const { entries } = bench.agent.report;
      assert.deepEqual(
        entries.map(({ host, state }) => [host, state]),
        row.report.map(([host, state]) => [host, state]),
      );
      row.report.forEach(([, , message], index) => {
        if (message !== undefined) assert.match(entries[index]?.message ?? '', message);
        else assert.equal(entries[index]?.message, undefined);
      });
      // Once more: nothing is left to do.
      if (row.report.every(([, state]) => state !== 'Removing')) {
        await look(bench);
        assert.deepEqual(treeOf(root), sorted(row.after));
      }
    }),
  );
}

test('what is wrong with a plan is in the report, and the plan before it stays in force', () =>
  withTemporaryFolder(async (root) => {
    const bench = benchOf({ Containerd: root }, { plan: planOf(mirrorEntry()) });
    await look(bench);
    const { planHash } = bench.agent.report;
    bench.plan = '{"entries": 1}';
    await look(bench);
    assert.deepEqual(treeOf(root), MIRRORED);
    assert.equal(bench.agent.report.planHash, planHash);
    assert.equal(bench.agent.report.planError, 'entries is no list');
  }));

test('a mirror that dies is taken back after half a minute, and comes back when it answers', () =>
  withTemporaryFolder(async (root) => {
    const bench = benchOf({ Containerd: root }, { plan: planOf(mirrorEntry()) });
    const state = () => bench.agent.report.entries.map((entry) => entry.state);
    await look(bench, 5);
    bench.probe = dead;
    await look(bench, 10);
    assert.deepEqual(state(), ['Applied'], 'after 20 s it may be a pod that is being replaced');
    assert.equal(containerdView(root, 'docker.io').pulls, 'mirror');
    await look(bench, 12);
    assert.deepEqual(state(), ['Unreachable']);
    assert.deepEqual(treeOf(root), {});
    bench.probe = () => Promise.resolve(undefined);
    await look(bench, 2);
    assert.deepEqual(state(), ['Applied']);
    assert.deepEqual(treeOf(root), MIRRORED);
  }));

test('an agent that starts keeps a mirror that does not answer for as long as one that has been running', () =>
  withTemporaryFolder(async (root) => {
    plant(root, MIRRORED);
    const bench = benchOf({ Containerd: root }, { plan: planOf(mirrorEntry()) });
    bench.probe = dead;
    await look(bench, 10);
    assert.deepEqual(treeOf(root), MIRRORED);
    await look(bench, 10);
    assert.deepEqual(treeOf(root), {});
    assert.equal(bench.agent.report.entries[0]?.state, 'Unreachable');
  }));

test('a mirror that moves is written when its new address answers', () =>
  withTemporaryFolder(async (root) => {
    const bench = benchOf({ Containerd: root }, { plan: planOf(mirrorEntry()) });
    await look(bench);
    const moved = 'https://10.96.0.99:5000';
    bench.plan = planOf(
      mirrorEntry({ hosts: [{ host: 'docker.io', endpoint: moved, capabilities: ['pull', 'resolve'] }] }),
    );
    bench.probe = dead;
    await look(bench);
    assert.deepEqual(treeOf(root), MIRRORED);
    assert.equal(bench.agent.report.entries[0]?.state, 'Waiting');
    bench.probe = () => Promise.resolve(undefined);
    await look(bench, 2);
    const view = containerdView(root, 'docker.io');
    assert.deepEqual(view.pulls === 'mirror' && view.endpoints, [moved]);
  }));

test('a mirror that is gone is not kept for another one that does not answer yet', () =>
  withTemporaryFolder(async (root) => {
    const bench = benchOf({ Containerd: root }, { plan: planOf(mirrorEntry()) });
    await look(bench);
    bench.plan = planOf(
      mirrorEntry({
        id: 'other-uid',
        hosts: [{ host: 'docker.io', endpoint: 'https://10.96.0.99:5000', capabilities: ['pull'] }],
      }),
    );
    bench.probe = dead;
    await look(bench);
    const states = () => bench.agent.report.entries.map(({ id, state }) => [id, state]);
    assert.deepEqual(states(), [
      ['other-uid', 'Waiting'],
      ['mirror-uid', 'Removing'],
    ]);
    await look(bench);
    assert.deepEqual(states(), [['other-uid', 'Waiting']]);
    assert.deepEqual(treeOf(root), {});
  }));

test('a mirror that needs no authority any more loses the file after hosts.toml no longer names it', () =>
  withTemporaryFolder(async (root) => {
    const bench = benchOf({ Containerd: root }, { plan: planOf(mirrorEntry()) });
    await look(bench);
    bench.plan = planOf(mirrorEntry({ ca: undefined }));
    await look(bench);
    assert.deepEqual(Object.keys(treeOf(root)), ['docker.io/hosts.toml', 'docker.io/stevedore-mirror.pem']);
    await look(bench);
    assert.deepEqual(Object.keys(treeOf(root)), ['docker.io/hosts.toml']);
    bench.plan = planOf();
    await look(bench);
    assert.deepEqual(treeOf(root), {}, 'nothing is named by it, so all goes at once');
  }));

test('docker trusts by a certificate beside those of others, and finds mirrors as containerd does', () =>
  withTemporaryFolder(async (root) => {
    const foreign = { [`${REGISTRY}/ca.crt`]: OTHER_CA };
    plant(root, foreign);
    const bench = benchOf(
      { Docker: root },
      { plan: planOf(mirrorEntry({ runtimes: ['Docker'] }), trustEntry({ runtimes: ['Docker'] })) },
    );
    await look(bench);
    assert.deepEqual(
      treeOf(root),
      sorted({
        ...foreign,
        ...MIRRORED,
        [`${REGISTRY}/stevedore-trust.crt`]: `${TRUST_LINES}${CA}`,
      }),
    );
    bench.plan = planOf();
    await look(bench, 2);
    assert.deepEqual(treeOf(root), foreign);
  }));

test('not even what has the name of a file of ours is written over', () =>
  withTemporaryFolder(async (root) => {
    const foreign = { [`${REGISTRY}/stevedore-trust.crt`]: OTHER_CA };
    plant(root, foreign);
    const bench = benchOf({ Docker: root }, { plan: planOf(trustEntry({ runtimes: ['Docker'] })) });
    await look(bench);
    assert.deepEqual(treeOf(root), foreign);
    assert.equal(bench.agent.report.entries[0]?.state, 'Conflict');
  }));

test('a node without the folder says so', () =>
  withTemporaryFolder(async (root) => {
    const bench = benchOf({ Containerd: join(root, 'none') }, { plan: planOf(mirrorEntry()) });
    await look(bench);
    assert.deepEqual(bench.agent.report.entries, [
      {
        id: 'mirror-uid',
        host: 'docker.io',
        runtime: 'Containerd',
        state: 'Failed',
        message: 'There is no folder /etc/containerd/certs.d on this node.',
      },
    ]);
  }));

test('what a node refuses to write is told, and tried again', () =>
  withTemporaryFolder(async (root) => {
    const bench = benchOf({ Containerd: root }, { plan: planOf(mirrorEntry()) });
    // A file where the agent makes its folder.
    plant(root, { '.stevedore-new-docker.io': 'x' });
    await look(bench);
    assert.equal(bench.agent.report.entries[0]?.state, 'Failed');
    assert.match(bench.agent.report.entries[0]?.message ?? '', /ENOTDIR|EEXIST/);
    rmSync(join(root, '.stevedore-new-docker.io'));
    await look(bench);
    assert.equal(bench.agent.report.entries[0]?.state, 'Applied');
  }));

function sorted(tree: Tree): Tree {
  return Object.fromEntries(Object.entries(tree).sort(([a], [b]) => (a < b ? -1 : 1)));
}
