import { commands, type CommandName } from './commands/index.ts';
import { printHelp } from './commands/help.ts';
import { runCommand } from './commands/run.ts';

const [name, ...args] = process.argv.slice(2);
if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
  await printHelp(process.stdout);
  process.exitCode = name === undefined ? 2 : 0;
} else if (Object.hasOwn(commands, name)) {
  process.exitCode = await runCommand(name as CommandName, args);
} else {
  process.stderr.write(`stevedore: unknown command '${name}'. 'stevedore help' lists the commands.\n`);
  process.exitCode = 2;
}
