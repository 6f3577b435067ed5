import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { runProgram } from '../../support/run-program.ts';

/** What a collection of an empty registry logs with a `log` section. A key that is no option gives it a line at least. */
async function linesOf(t: TestContext, section: string): Promise<readonly string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'log-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'config.yml');
  writeFileSync(
    file,
    `{version: 0.1, typo: 1, log: ${section}, storage: {filesystem: {rootdirectory: ${folder}}}, http: {addr: ":1"}}`,
  );
  const { code, stderr } = await runProgram(['garbage-collect', '--offline', file]);
  assert.equal(code, 0, stderr);
  return stderr.split('\n').filter(Boolean);
}

test('log.formatter: lines are pairs unless it says otherwise', async (t) => {
  assert.match((await linesOf(t, '{}'))[0] ?? '', /^time=\S+ level=warn msg=configuration /);
  assert.partialDeepStrictEqual(JSON.parse((await linesOf(t, '{formatter: json}'))[0] ?? ''), {
    level: 'warn',
    message: 'configuration',
  });
  assert.partialDeepStrictEqual(JSON.parse((await linesOf(t, '{formatter: logstash}'))[0] ?? ''), {
    '@version': '1',
    message: 'configuration',
  });
});

test('log.level: lines below it are left out', async (t) => {
  assert.deepEqual(await linesOf(t, '{level: error}'), []);
});

test('log.fields: every line has them', async (t) => {
  for (const line of await linesOf(t, '{fields: {site: north}}')) assert.match(line, / site=north /);
});

test('log.reportcaller: every line says where it was written', async (t) => {
  assert.match(
    (await linesOf(t, '{reportcaller: true}'))[0] ?? '',
    / file=\S+config-log\.ts:\d+ func=openLog/,
  );
});
