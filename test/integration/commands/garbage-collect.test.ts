import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { createFilesystemDriver } from '../../../src/registry/storage/filesystem/filesystem-driver.ts';
import { logSink } from '../../support/log-sink.ts';
import { RegistryContent } from '../../support/registry-content.ts';
import { runProgram } from '../../support/run-program.ts';

/** A store with two tags, and rules that keep the one that is called `v1`. */
async function site(t: TestContext): Promise<{ folder: string; config: string; rules: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'collect-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const content = new RegistryContent(
    createFilesystemDriver({ root: join(folder, 'storage'), log: logSink().log }),
  );
  for (const tag of ['v1', 'latest']) {
    await content.tag(tag, await content.image([], { config: `{"a":"${tag}"}` }));
  }
  const [config, rules] = [join(folder, 'config.yml'), join(folder, 'rules.yml')];
  writeFileSync(
    config,
    `version: 0.1\nhttp: {addr: ":0"}\nstorage: {filesystem: {rootdirectory: ${folder}/storage}}\n`,
  );
  writeFileSync(rules, 'retention:\n- repositories: ["**"]\n  keepTags: {patterns: ["v*"]}\n');
  return { folder, config, rules };
}

const now = ['--offline', '--minimum-age', '0s', '--trash-grace', '0s', '--delete-untagged'];

test('a dry run with rules says of each tag what becomes of it, for people and for machines', async (t) => {
  const { config, rules } = await site(t);
  const dry = ['garbage-collect', ...now, '--dry-run', '--retention', rules, config];
  const text = await runProgram(dry);
  assert.equal(text.code, 0, text.stderr);
  assert.match(text.stdout, /^delete {2}library\/app:latest {2}rule 1: nothing keeps it$/m);
  assert.match(text.stdout, /^keep {4}library\/app:v1 {2}rule 1: matches a pattern$/m);
  assert.match(text.stdout, /^tags +1$/m);
  const json = await runProgram([...dry, '--format', 'json']);
  const { tags, tagsLeftOut, tagsDeleted } = JSON.parse(json.stdout) as Readonly<Record<string, unknown>>; // what it prints
  assert.deepEqual([tagsDeleted, tagsLeftOut], [1, 0]);
  assert.deepEqual(tags, [
    { repository: 'library/app', tag: 'latest', keep: false, rule: 0, reason: 'NoCondition' },
    { repository: 'library/app', tag: 'v1', keep: true, rule: 0, reason: 'Pattern' },
  ]);
});

test('a run says what it did and how long each phase took, also in a file', async (t) => {
  const { folder, config, rules } = await site(t);
  const file = join(folder, 'report.json');
  const { code, stdout, stderr } = await runProgram([
    'garbage-collect',
    ...now,
    '--retention',
    rules,
    '--report-file',
    file,
    config,
  ]);
  assert.equal(code, 0, stderr);
  assert.match(
    stdout,
    /^took +look [\d.]+ s, drain [\d.]+ s, mark [\d.]+ s, sweep [\d.]+ s, tidy [\d.]+ s$/m,
  );
  const report = JSON.parse(readFileSync(file, 'utf8')) as Readonly<Record<string, unknown>>; // what it writes
  assert.deepEqual([report['result'], report['tagsDeleted'], report['tags']], ['Succeeded', 1, undefined]);
});

test('rules that are wrong are told before anything is looked at', async (t) => {
  const { config, rules } = await site(t);
  writeFileSync(rules, 'retention: [{repositories: ["**"], keepTag: {mostRecent: 1}}]');
  const { code, stderr } = await runProgram(['garbage-collect', '--retention', rules, config]);
  assert.equal(code, 2);
  assert.match(
    stderr,
    /^stevedore garbage-collect: --retention .*rules\.yml: retention\.0\.keepTag is not an option, did you mean keepTags\?/,
  );
});
