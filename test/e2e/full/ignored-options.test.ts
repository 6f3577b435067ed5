import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { optionsByTest } from '../../support/option-tests.ts';

/*
 * Each option has a test that fails when the option is ignored. Here each is ignored, by a copy of the program whose
 * decoder does not see it, and its test is run.
 */

const root = join(import.meta.dirname, '../../..');
const copy = mkdtempSync(join(tmpdir(), 'ignored-options-'));
after(() => rmSync(copy, { recursive: true, force: true }));
for (const part of ['src', 'test', 'docs', 'package.json']) {
  cpSync(join(root, part), join(copy, part), { recursive: true });
}
symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));

/** Names the option to the copies of the program, those that tests start as well. */
const VARIABLE = 'IGNORED_OPTION';

/** @throws AssertionError when there is no such text: then this test has to be told what to change instead. */
function change(file: string, before: string, now: string): void {
  const text = readFileSync(join(copy, file), 'utf8');
  assert.ok(text.includes(before), `${file} has no ${before}`);
  writeFileSync(join(copy, file), text.replace(before, now));
}

const decode =
  'function decode(field: Field, raw: Raw | undefined, path: string, found: Findings): unknown {\n';
change(
  'src/contract/config/decode.ts',
  decode,
  `${decode}  if (path.replace(/\\.\\d+(?=\\.|$)/g, '[]') === process.env['${VARIABLE}']) raw = undefined;\n`,
);
for (const file of ['test/support/serve-process.ts', 'test/support/run-program.ts']) {
  change(file, '...options.environment', `${VARIABLE}: process.env['${VARIABLE}'], ...options.environment`);
}

/** A test that waits for what never comes has failed. */
const LONGEST_RUN = 120_000;

/** @returns whether the tests of a file pass. */
async function passes(file: string, ignored: string): Promise<boolean> {
  const child = spawn(process.execPath, ['--test', '--test-isolation=none', join(copy, 'test', file)], {
    cwd: copy,
    stdio: 'ignore',
    timeout: LONGEST_RUN,
    killSignal: 'SIGKILL',
    env: { ...process.env, [VARIABLE]: ignored, NODE_TEST_CONTEXT: undefined },
  });
  const [code] = (await once(child, 'exit')) as [number | null]; // code first
  return code === 0;
}

for (const [file, options] of Object.entries(optionsByTest)) {
  describe(`${file} fails when an option is ignored`, { concurrency: 2 }, () => {
    test('not when none is', async () => assert.ok(await passes(file, '')));
    for (const option of options) test(option, async () => assert.ok(!(await passes(file, option))));
  });
}
