import { UsageError, type CommandOption, type Invocation } from './command.ts';

/** `--format text|json`. @param description without the default */
export function formatOption(description: string): CommandOption {
  return {
    type: 'string',
    value: 'text|json',
    default: 'text',
    description: `${description} (default text).`,
  };
}

/** @throws UsageError for a format that is neither */
export function isJson({ values }: Pick<Invocation, 'values'>): boolean {
  const format = values['format'];
  if (format === 'text' || format === 'json') return format === 'json';
  throw new UsageError(`--format is text or json, not '${String(format)}'`);
}
