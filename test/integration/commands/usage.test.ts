import assert from 'node:assert/strict';
import { test } from 'node:test';
import packageFile from '../../../package.json' with { type: 'json' };
import { runProgram } from '../../support/run-program.ts';

test('the program without a command, and help, list the commands', async () => {
  const [bare, help] = await Promise.all([runProgram([]), runProgram(['help'])]);
  assert.deepEqual([bare.code, help.code], [2, 0]);
  assert.equal(bare.stdout, help.stdout);
  for (const command of ['serve', 'garbage-collect', 'check', 'operator', 'htpasswd']) {
    assert.match(help.stdout, new RegExp(String.raw`^  ${command} +\S`, 'm'));
  }
});

test('help describes a command, as --help of the command does', async () => {
  const [byName, byOption] = await Promise.all([
    runProgram(['help', 'check']),
    runProgram(['check', '--help']),
  ]);
  assert.match(byName.stdout, /^Usage: stevedore check \[OPTIONS\] CONFIG\n[^]*--format yaml\|json +How/);
  assert.deepEqual([byName.code, byName.stdout], [byOption.code, byOption.stdout]);
});

test('the version is printed', async () => {
  const { code, stdout } = await runProgram(['--version']);
  assert.deepEqual([code, stdout], [0, `stevedore ${packageFile.version}\n`]);
});

test('bad usage is told in words, with what was meant, and exits with 2', async () => {
  const cases: readonly (readonly [args: readonly string[], stderr: RegExp])[] = [
    [['srve'], /^stevedore: unknown command 'srve'\. Did you mean 'serve'\? /],
    [['help', 'srve'], /^stevedore: unknown command 'srve'/],
    [['xyz'], /^stevedore: unknown command 'xyz'\. 'stevedore help' lists the commands\.\n$/],
    [['serve', '--srtict', 'x'], /^stevedore serve: unknown option --srtict, did you mean --strict\?\nTry /],
    [['serve', '-x'], /^stevedore serve: unknown option -x\nTry 'stevedore help serve'\.\n$/],
    [['serve', '--strict=yes', 'x'], /^stevedore serve: --strict takes no value\n/],
    [['check', '--format'], /^stevedore check: --format needs a value\n/],
    [['check', '--format=', 'x'], /^stevedore check: --format needs a value\n/],
    [['check', '--format', 'xml', 'x'], /^stevedore check: --format is yaml or json, not 'xml'\n/],
    [['check'], /^stevedore check: CONFIG is missing, and REGISTRY_CONFIGURATION_PATH is not set\n/],
  ];
  for (const [args, expected] of cases) {
    const { code, stderr } = await runProgram(args);
    assert.match(stderr, expected);
    assert.equal(code, 2, args.join(' '));
  }
});
