import { parseArgs } from 'node:util';
import { nearestName } from '../contract/nearest-name.ts';
import { UsageError, type CommandOptions, type Invocation } from './command.ts';

/**
 * Parses the arguments of a command.
 * @throws UsageError for an option that is unknown, or has a value too many or too few.
 */
export function parseArguments(
  args: readonly string[],
  options: CommandOptions,
): Pick<Invocation, 'values' | 'positionals'> {
  const parsed = parseArgs({ args: [...args], options, allowPositionals: true, strict: false, tokens: true });
  for (const token of parsed.tokens) {
    if (token.kind !== 'option') continue;
    const option = Object.hasOwn(options, token.name) ? options[token.name] : undefined;
    if (option === undefined) throw unknownOption(token.rawName, options);
    if (option.type === 'string' && !token.value) throw new UsageError(`${token.rawName} needs a value`);
    if (option.type === 'boolean' && token.value !== undefined) {
      throw new UsageError(`${token.rawName} takes no value`);
    }
  }
  // Nothing is given `multiple` times: an option has one value.
  const values = parsed.values as Invocation['values'];
  return { values, positionals: parsed.positionals };
}

function unknownOption(name: string, options: CommandOptions): UsageError {
  const nearest = nearestName(name.replace(/^-+/, ''), Object.keys(options));
  const hint = nearest === undefined || !name.startsWith('--') ? '' : `, did you mean --${nearest}?`;
  return new UsageError(`unknown option ${name}${hint}`);
}
