import type { ObjectField } from './fields.ts';

/** `log`: what is logged and how. */
export const logSection = {
  type: 'object',
  description: 'What is logged. Lines go to standard error.',
  fields: {
    level: {
      type: 'string',
      values: ['error', 'warn', 'info', 'debug'],
      anyCase: true,
      default: 'info',
      description: 'Lines below this level are left out.',
    },
    formatter: {
      type: 'string',
      values: ['text', 'json', 'logstash'],
      default: 'text',
      description:
        '`text` is `key=value` pairs, `json` one object a line, `logstash` one with the names that Logstash wants.',
    },
    fields: { type: 'map', of: 'string', description: 'Fields that every line carries.' },
    accesslog: {
      type: 'object',
      description:
        'One line a request: with `text` in the combined format of Apache on standard output, else among the other lines.',
      fields: {
        disabled: { type: 'boolean', default: false, description: 'Leaves the access lines out.' },
      },
    },
    reportcaller: {
      type: 'boolean',
      default: false,
      description: 'Adds to each line where in the program it was written, as `file` and `func`.',
    },
    hooks: {
      type: 'obsolete',
      description: 'no mail is sent; let what collects the logs alert you, or an alert on the metrics',
    },
  },
} as const satisfies ObjectField;
