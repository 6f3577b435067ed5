import { nearestName } from '../contract/nearest-name.ts';
import { terminationSignal } from '../process/signals.ts';
import { parseArguments } from './arguments.ts';
import { UsageError, type ExitCode } from './command.ts';
import { allOptions, commandHelp, listOfCommands } from './help.ts';
import { commands, type CommandName } from './index.ts';
import packageFile from '../../package.json' with { type: 'json' };

/** Runs what the arguments of the program ask for, and turns bad usage into exit code 2. */
export async function runProgram(args: readonly string[]): Promise<ExitCode> {
  const [name, ...rest] = args;
  switch (name) {
    case undefined:
      process.stdout.write(await listOfCommands());
      return 2;
    case '--version':
    case '-V':
      process.stdout.write(`stevedore ${packageFile.version}\n`);
      return 0;
    case 'help':
    case '--help':
    case '-h':
      return help(rest);
    default:
      return isCommand(name) ? runCommand(name, rest) : unknownCommand(name);
  }
}

async function help([name]: readonly string[]): Promise<ExitCode> {
  if (name !== undefined && !isCommand(name)) return unknownCommand(name);
  process.stdout.write(
    name === undefined ? await listOfCommands() : commandHelp(name, await commands[name]()),
  );
  return 0;
}

async function runCommand(name: CommandName, args: readonly string[]): Promise<ExitCode> {
  const command = await commands[name]();
  try {
    const { values, positionals } = parseArguments(args, allOptions(command));
    if (values['help'] === true) {
      process.stdout.write(commandHelp(name, command));
      return 0;
    }
    return await command.run({
      values,
      positionals,
      environment: process.env,
      stdin: process.stdin,
      stdout: process.stdout,
      stderr: process.stderr,
      signal: terminationSignal(),
    });
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`stevedore ${name}: ${error.message}\nTry 'stevedore help ${name}'.\n`);
    return 2;
  }
}

function isCommand(name: string): name is CommandName {
  return Object.hasOwn(commands, name);
}

function unknownCommand(name: string): ExitCode {
  const nearest = nearestName(name, Object.keys(commands));
  const hint = nearest === undefined ? '' : ` Did you mean '${nearest}'?`;
  process.stderr.write(`stevedore: unknown command '${name}'.${hint} 'stevedore help' lists the commands.\n`);
  return 2;
}
