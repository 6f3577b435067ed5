import { text } from 'node:stream/consumers';
import { hash } from '@node-rs/bcrypt';
import { UsageError, type Command, type ExitCode, type Invocation } from './command.ts';

/** Half a tenth of a second for whoever guesses; a registry remembers a right password for a while. */
const DEFAULT_COST = 10;

export const htpasswd: Command = {
  summary:
    'Print an htpasswd line for a user; the password is read from standard input, or given as PASSWORD.',
  usage: 'USER [PASSWORD]',
  options: {
    cost: {
      type: 'string',
      short: 'C',
      value: 'NUMBER',
      default: String(DEFAULT_COST),
      description: `Cost of the bcrypt hash, 4 to 17 (default ${DEFAULT_COST}). One more doubles the time a check takes.`,
    },
  },
  run,
};

async function run({ positionals, values, stdin, stdout }: Invocation): Promise<ExitCode> {
  const [user, argument, ...rest] = positionals;
  if (user === undefined || rest.length > 0) throw new UsageError('USER and at most a PASSWORD are wanted');
  if (user === '' || /[:\s]/.test(user))
    throw new UsageError('USER must not be empty or hold a colon or a space');
  const cost = Number(values['cost']);
  if (!Number.isInteger(cost) || cost < 4 || cost > 17)
    throw new UsageError('--cost is a number from 4 to 17');
  const password = argument ?? (await text(stdin)).replace(/\r?\n$/, '');
  if (password === '') throw new UsageError('the password is empty');
  // bcrypt takes no notice of what is behind: two passwords would be one.
  if (Buffer.byteLength(password) > 72) throw new UsageError('the password is longer than 72 bytes');
  // $2y$ is the spelling that Apache's htpasswd writes and every reader knows.
  stdout.write(`${user}:${(await hash(password, cost)).replace(/^\$2[ab]\$/, '$2y$')}\n`);
  return 0;
}
