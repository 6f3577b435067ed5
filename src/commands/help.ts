import { commands } from './index.ts';
import type { Command, CommandOptions } from './command.ts';

/** Prints the list of commands. */
export async function printHelp(out: NodeJS.WritableStream): Promise<void> {
  out.write('Usage: stevedore COMMAND [OPTIONS] [ARGUMENTS]\n\nCommands:\n');
  for (const [name, load] of Object.entries(commands)) {
    out.write(`  ${name.padEnd(18)}${(await load()).summary}\n`);
  }
  out.write(
    "\n'stevedore COMMAND --help' describes a command. Exit codes: 0 done, 1 failed, 2 bad usage or config.\n",
  );
}

/** The help page of one command. */
export function commandHelp(name: string, command: Command): string {
  const options: CommandOptions = {
    ...command.options,
    help: { type: 'boolean', short: 'h', description: 'Show this page.' },
  };
  const rows = Object.entries(options).map(([option, about]) => {
    const short = about.short === undefined ? '    ' : `-${about.short}, `;
    const value = about.type === 'string' ? ` ${about.value ?? 'VALUE'}` : '';
    return [`  ${short}--${option}${value}`, about.description] as const;
  });
  const width = Math.max(...rows.map(([left]) => left.length)) + 2;
  const lines = rows.map(([left, right]) => `${left.padEnd(width)}${right}`);
  return `Usage: ${`stevedore ${name} [OPTIONS] ${command.usage}`.trimEnd()}\n\n${command.summary}\n\nOptions:\n${lines.join('\n')}\n`;
}
