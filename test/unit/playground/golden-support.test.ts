import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { load } from 'js-yaml';
import { differences } from '../../support/golden/differences.ts';
import { writeYaml } from '../../support/golden/layout.ts';
import { Normaliser } from '../../support/golden/normaliser.ts';
import { readScenarios, scenarioText, type Json } from '../../support/golden/scenario.ts';

const UID = '01234567-89ab-4cde-8f01-23456789abcd';
const none = new Map<string, string>();
const answer = (body: Json) => ({ status: 200, body });

test('every scenario file reads as the recorder writes it', () => {
  for (const { path, scenario } of readScenarios()) {
    assert.equal(scenarioText(scenario), readFileSync(path, 'utf8'), path);
  }
});

test('what is written is read back as it was', () => {
  const texts = [
    '',
    ' a',
    'a ',
    'yes',
    '1',
    '1e3',
    'a: b',
    'a #b',
    '- a',
    '"',
    "'",
    'a\nb',
    'a\n',
    '\na',
    '{',
    'é',
    '<<',
  ];
  const value = { texts, keys: Object.fromEntries(texts.map((text) => [text, text])), empty: [{}, [], null] };
  assert.deepEqual(load(writeYaml(value)), value);
});

test('what a server chooses gets one placeholder wherever it is mentioned', () => {
  const normaliser = new Normaliser('"web"', new Map([['ns-1x', '<namespace>']]), false);
  const metadata = { name: 'web', namespace: 'ns-1x', uid: UID, resourceVersion: '7' };
  assert.deepEqual(normaliser.normalise(answer({ metadata, message: `not ${UID} of ns-1x` })).body, {
    metadata: { name: 'web', namespace: '<namespace>', uid: '<uid:1>', resourceVersion: '<version:1>' },
    message: 'not <uid:1> of <namespace>',
  });
  assert.deepEqual(
    normaliser.normalise(answer({ resourceVersion: '8', old: { resourceVersion: '7' } })).body,
    {
      resourceVersion: '<version:2>',
      old: { resourceVersion: '<version:1>' },
    },
  );
});

test('what a request names stays as it is', () => {
  const asked = JSON.stringify({ uid: UID, renewTime: '2026-01-02T03:04:05Z' });
  const normaliser = new Normaliser(asked, none, false);
  const body = { message: UID, renewTime: '2026-01-02T03:04:05Z', creationTimestamp: '2026-01-02T03:04:06Z' };
  assert.deepEqual(normaliser.normalise(answer(body)).body, { ...body, creationTimestamp: '<time>' });
});

test('a generated name keeps its prefix', () => {
  const normaliser = new Normaliser('"generateName":"web-"', none, false);
  const body = { metadata: { name: 'web-x7k2p', generateName: 'web-' }, message: '"web-x7k2p" is there' };
  assert.deepEqual(normaliser.normalise(answer(body)).body, {
    metadata: { name: 'web-<suffix:1>', generateName: 'web-' },
    message: '"web-<suffix:1>" is there',
  });
});

test('a difference does not change the numbers of what comes later', () => {
  const normaliser = new Normaliser('', none, true);
  normaliser.normalise(answer({ resourceVersion: '5' }), answer({ kind: 'Status' }));
  const expected = answer({ resourceVersion: '<version:1>' });
  assert.deepEqual(normaliser.normalise(answer({ resourceVersion: '6' }), expected), expected);
});

test('another version where the recorded ones were equal is a difference', () => {
  const normaliser = new Normaliser('', none, true);
  const expected = answer({ resourceVersion: '<version:1>' });
  normaliser.normalise(answer({ resourceVersion: '5' }), expected);
  const again = normaliser.normalise(answer({ resourceVersion: '6' }), expected);
  assert.equal(differences(expected, again).length, 1);
});

test('differences name the place, and both values', () => {
  assert.deepEqual(differences(answer({ a: [{ b: 1 }, 2] }), answer({ a: [{ b: '1' }], c: null })), [
    'body.a[0].b: expected 1, got "1"',
    'body.a[1]: expected 2, got nothing',
    'body.c: expected nothing, got null',
  ]);
});
