import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  nodePlanHash,
  parseNodePlan,
  parseOriginUrl,
  parseRegistryHost,
  printNodePlan,
} from '../../../src/contract/node-plan.ts';
import { createTestAuthority } from '../../support/test-authority.ts';

const { certificate } = await createTestAuthority();

const entry = {
  id: '0b2f',
  kind: 'RegistryMirror',
  namespace: 'team',
  name: 'cache',
  nodes: ['node-1'],
  runtimes: ['Containerd', 'Docker'],
  hosts: [
    {
      host: 'docker.io',
      server: 'https://registry-1.docker.io',
      endpoint: 'https://10.96.0.20:5000',
      capabilities: ['pull', 'resolve'],
      header: { authorization: 'Basic c2VjcmV0' },
    },
  ],
  ca: certificate,
  trust: [{ host: 'registry.example.com:5000', ca: certificate }],
};

const planText = (change: object) => JSON.stringify({ entries: [{ ...entry, ...change }] });

test('a plan is read as it was printed', () => {
  const plan = parseNodePlan(planText({}));
  assert.deepEqual(plan.entries, [entry]);
  assert.deepEqual(parseNodePlan(printNodePlan(plan)), plan);
  assert.match(nodePlanHash(printNodePlan(plan)), /^[0-9a-f]{64}$/);
});

test('fields of a later version do no harm', () => {
  assert.deepEqual(parseNodePlan(planText({ later: true })).entries, [entry]);
});

test('what could harm a node is refused, with its place', () => {
  const hosts = (change: object) => ({ hosts: [{ ...entry.hosts[0], ...change }] });
  const refused: readonly (readonly [object, RegExp])[] = [
    [{ id: 'a\nb' }, /^entries\.0\.id can't be/],
    [{ name: 'a\n[host]' }, /^entries\.0\.name is no name/],
    [{ nodes: 'some' }, /^entries\.0\.nodes is no list/],
    [{ runtimes: ['Crio'] }, /^entries\.0\.runtimes\.0 can't be "Crio"/],
    [hosts({ host: '../../etc' }), /^entries\.0\.hosts\.0\.host can't be/],
    [hosts({ endpoint: 'https://user@10.96.0.20' }), /^entries\.0\.hosts\.0\.endpoint can't be/],
    [hosts({ server: 'ftp://docker.io' }), /^entries\.0\.hosts\.0\.server can't be/],
    [{ ca: 'none' }, /^entries\.0\.ca holds something else than certificates/],
    [{ ca: certificate.replace(/\n.{20}/, '\n') }, /^entries\.0\.ca holds something else than certificates/],
    [{ trust: [{ host: 'a', ca: '' }] }, /^entries\.0\.trust\.0\.ca holds/],
  ];
  for (const [change, message] of refused) {
    assert.throws(() => parseNodePlan(planText(change)), { message }, JSON.stringify(change));
  }
  assert.throws(() => parseNodePlan('{}'), { message: 'entries is no list' });
  assert.throws(() => parseNodePlan('{"entr'), SyntaxError);
});

test('a message about a header does not have its value', () => {
  const header = { authorization: 'secret\nX: y' };
  assert.throws(
    () => parseNodePlan(planText({ hosts: [{ ...entry.hosts[0], header }] })),
    (error: Error) => {
      assert.equal(error.message, "entries.0.hosts.0.header.authorization can't be sent in a header");
      return true;
    },
  );
});

test('a host is what images name, and never more than one folder', () => {
  for (const host of ['docker.io', 'localhost:5000', '10.0.0.1:5000', '[fd00::1]:5000', 'a']) {
    assert.equal(parseRegistryHost(host), host);
  }
  for (const host of [
    '',
    '.',
    '..',
    '_default',
    'a/b',
    'Docker.io',
    'a..b',
    'a:70000',
    '.a',
    'a:',
    '[x]:1',
  ]) {
    assert.equal(parseRegistryHost(host), undefined, host);
  }
});

test('an origin is a URL with scheme, host and port alone', () => {
  for (const url of ['https://10.96.0.20:5000', 'http://mirror.example.com', 'https://[fd00::1]:5000']) {
    assert.equal(parseOriginUrl(url), url);
  }
  for (const url of [
    '',
    'mirror',
    'https://a/',
    'https://a/v2',
    'https://a?b',
    'https://a#b',
    'https://u:p@a',
    'unix://a',
  ]) {
    assert.equal(parseOriginUrl(url), undefined, url);
  }
});
