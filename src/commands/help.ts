import { commands } from './index.ts';
import type { Command, CommandOptions } from './command.ts';

/** What every command takes beside its own options. */
const common: CommandOptions = {
  help: { type: 'boolean', short: 'h', description: 'Show this page.' },
};

export function allOptions(command: Command): CommandOptions {
  return { ...command.options, ...common };
}

/** The page of `stevedore help`. */
export async function listOfCommands(): Promise<string> {
  const rows = Object.entries(commands).map(
    async ([name, load]) => `  ${name.padEnd(18)}${(await load()).summary}\n`,
  );
  return [
    'Usage: stevedore COMMAND [OPTIONS] [ARGUMENTS]\n\nCommands:\n',
    ...(await Promise.all(rows)),
    "\n'stevedore help COMMAND' describes a command, 'stevedore --version' prints the version.\n",
    'Exit codes: 0 done, 1 failed, 2 bad usage or configuration.\n',
  ].join('');
}

/** The help page of one command. */
export function commandHelp(name: string, command: Command): string {
  const rows = Object.entries(allOptions(command)).map(([option, about]) => {
    const short = about.short === undefined ? '    ' : `-${about.short}, `;
    const value = about.type === 'string' ? ` ${about.value ?? 'VALUE'}` : '';
    return [`  ${short}--${option}${value}`, about.description] as const;
  });
  const width = Math.max(...rows.map(([left]) => left.length)) + 2;
  const lines = rows.map(([left, right]) => `${left.padEnd(width)}${right}`);
  return `Usage: ${`stevedore ${name} [OPTIONS] ${command.usage}`.trimEnd()}\n\n${command.summary}\n\nOptions:\n${lines.join('\n')}\n`;
}
