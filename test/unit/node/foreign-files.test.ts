import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { benchOf, CA, look, mirrorEntry, plant, planOf, treeOf, trustEntry } from './node-tree.ts';

const HOSTS = ['docker.io', 'quay.io', 'a.example.com:5000'];

const folderName = fc.constantFrom(
  ...HOSTS,
  '_default',
  '_backup',
  'a.example.com_5000_',
  'other.example.com',
);
const fileName = fc.constantFrom(
  'hosts.toml',
  'ca.crt',
  'client.cert',
  'stevedore-mirror.pem',
  'stevedore-trust.crt',
  'notes',
);
/** Never with our first line, and sometimes almost. */
const content = fc.constantFrom(
  '',
  CA,
  'server = "https://a"\n',
  '\n# managed-by: stevedore uid=a\n',
  '# managed-by: others uid=a\n',
);
const foreignTree = fc.dictionary(
  fc.tuple(folderName, fileName).map((parts) => parts.join('/')),
  content,
  { maxKeys: 6 },
);

const entry = fc.oneof(
  fc
    .record({
      id: fc.constantFrom('a', 'b'),
      host: fc.constantFrom(...HOSTS),
      ca: fc.constantFrom(CA, undefined),
    })
    .map(({ id, host, ca }) =>
      mirrorEntry({
        id,
        ca,
        runtimes: ['Containerd', 'Docker'],
        hosts: [{ host, endpoint: 'https://10.96.0.20:5000', capabilities: ['pull'] }],
      }),
    ),
  fc
    .record({ id: fc.constantFrom('c', 'd'), host: fc.constantFrom(...HOSTS) })
    .map(({ id, host }) => trustEntry({ id, runtimes: ['Containerd', 'Docker'], trust: [{ host, ca: CA }] })),
);
const plans = fc.array(fc.record({ entries: fc.array(entry, { maxLength: 3 }), answers: fc.boolean() }), {
  minLength: 1,
  maxLength: 4,
});

test('whatever plans come and go, files of others are as they were, and in the end nothing is left of ours', async () => {
  await fc.assert(
    fc.asyncProperty(foreignTree, foreignTree, plans, async (inContainerd, inDocker, sequence) => {
      const root = mkdtempSync(join(tmpdir(), 'stevedore-test-'));
      try {
        plant(root, { 'containerd/': '', 'docker/': '' });
        plant(join(root, 'containerd'), inContainerd);
        plant(join(root, 'docker'), inDocker);
        const before = treeOf(root);
        const bench = benchOf({ Containerd: join(root, 'containerd'), Docker: join(root, 'docker') });
        for (const { entries, answers } of sequence) {
          bench.plan = planOf(...entries);
          bench.probe = () => Promise.resolve(answers ? undefined : 'no');
          await look(bench);
          const now = treeOf(root);
          for (const [path, text] of Object.entries(before)) {
            if (!path.endsWith('/')) assert.equal(now[path], text, path);
          }
        }
        bench.plan = planOf();
        await look(bench, 2);
        assert.deepEqual(treeOf(root), before);
        assert.deepEqual(bench.agent.report.entries, []);
      } finally {
        rmSync(root, { recursive: true, force: true });
      }
    }),
    { numRuns: 60 },
  );
});
