import { parseArgs } from 'node:util';
import { terminationSignal } from '../process/signals.ts';
import { UsageError, type ExitCode } from './command.ts';
import { commandHelp } from './help.ts';
import { commands, type CommandName } from './index.ts';

/** Parses the arguments, runs the command, and turns bad usage into exit code 2. */
export async function runCommand(name: CommandName, args: readonly string[]): Promise<ExitCode> {
  const command = await commands[name]();
  const options = { ...command.options, help: { type: 'boolean', short: 'h' } } as const;
  try {
    const parsed = parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
    if (parsed.values['help'] === true) {
      process.stdout.write(commandHelp(name, command));
      return 0;
    }
    return await command.run({
      values: parsed.values,
      positionals: parsed.positionals,
      environment: process.env,
      stdin: process.stdin,
      stdout: process.stdout,
      stderr: process.stderr,
      signal: terminationSignal(),
    });
  } catch (error) {
    if (!(error instanceof UsageError) && !isParseError(error)) throw error;
    process.stderr.write(`stevedore ${name}: ${error.message}\nTry 'stevedore ${name} --help'.\n`);
    return 2;
  }
}

function isParseError(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
}
