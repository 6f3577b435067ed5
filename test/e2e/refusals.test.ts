import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { connect, type Cluster } from './cluster.ts';
import { acceptances, refusals, type Manifest } from './refusals.ts';

const AT_ONCE = 4;
let cluster: Cluster;

/**
 * Nothing here is for the operator: a quota keeps pods away, and the namespaces go with all that is in them. Each test that
 * needs something to be there before has one of its own.
 */
const namespaces: string[] = [];

before(async () => {
  cluster = await connect();
});

after(() => cluster.kubectl(['delete', 'namespace', ...namespaces, '--wait=false']));

async function newNamespace(): Promise<string> {
  const name = `refusals-${namespaces.length}`;
  namespaces.push(name);
  await cluster.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  const quota = {
    apiVersion: 'v1',
    kind: 'ResourceQuota',
    metadata: { name: 'no-pods' },
    spec: { hard: { pods: '0' } },
  };
  await cluster.apply(quota, name);
  return name;
}

/** What kubectl apply comes to; without something that is there before, nothing is stored. */
async function apply(manifest: Manifest, earlier: Manifest | undefined) {
  const namespace = earlier === undefined ? 'default' : await newNamespace();
  if (earlier !== undefined) await cluster.apply(earlier, namespace);
  return cluster.tryKubectl(['apply', '--dry-run=server', '--namespace', namespace, '--filename', '-'], {
    input: JSON.stringify(manifest),
  });
}

suite('kubectl apply', { concurrency: AT_ONCE }, () => {
  for (const { title, before: earlier, manifest, message } of refusals) {
    test(title, async () => {
      const { code, stderr } = await apply(manifest, earlier);
      assert.notEqual(code, 0, 'it was accepted');
      assert.ok(stderr.includes(message), stderr);
    });
  }
  for (const { title, before: earlier, manifest } of acceptances) {
    test(title, async () => {
      const { code, stderr } = await apply(manifest, earlier);
      assert.equal(code, 0, stderr);
    });
  }
});
