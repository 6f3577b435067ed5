import type { Decoded, ObjectField, StringField } from './fields.ts';

/** Sizes of the pieces of an upload must be multiples of this; bytes. */
const PIECE_UNIT = 256 * 1024;

/** A field of a service account's key that is accepted and not looked at. */
const unused = (what: string): StringField & { readonly optional: true } => ({
  type: 'string',
  optional: true,
  description: `${what} As in the key file, without effect.`,
});

/** `storage.gcs`: Google Cloud Storage. */
export const gcsSection = {
  type: 'object',
  optional: true,
  namedByKey: true,
  description:
    'Stores in a bucket of Google Cloud Storage, in the layout of docker distribution. STORAGE_EMULATOR_HOST leads to an emulator instead.',
  fields: {
    bucket: { type: 'string', description: 'The bucket, which must exist.' },
    keyfile: {
      type: 'string',
      format: 'file',
      optional: true,
      description:
        "JSON file with credentials. Without it and `credentials`: GOOGLE_APPLICATION_CREDENTIALS, gcloud's own, or the identity of the machine or pod (GKE workload identity).",
    },
    credentials: {
      type: 'object',
      optional: true,
      description: 'The content of a key file of a service account.',
      fields: {
        type: {
          type: 'string',
          values: ['service_account'],
          default: 'service_account',
          description: 'What kind of credentials they are.',
        },
        client_email: { type: 'string', description: 'Address of the service account.' },
        private_key: { type: 'string', secret: true, description: 'Its private key, in PEM.' },
        private_key_id: { type: 'string', optional: true, description: 'Identifier of the key.' },
        token_uri: {
          type: 'string',
          format: 'url',
          default: 'https://oauth2.googleapis.com/token',
          description: 'Where access tokens are asked for.',
        },
        project_id: unused('The project.'),
        client_id: unused('Number of the service account.'),
        auth_uri: unused('Where people log in.'),
        auth_provider_x509_cert_url: unused("Google's certificates."),
        client_x509_cert_url: unused("The service account's certificates."),
        universe_domain: unused('The cloud.'),
      },
    },
    rootdirectory: { type: 'string', default: '', description: 'Beginning of the names of all objects.' },
    chunksize: {
      type: 'integer',
      minimum: PIECE_UNIT,
      default: 5 * 1024 * 1024,
      description:
        'Most bytes of an upload that are sent at once, a multiple of 262144. Many uploads at once send less.',
    },
    maxconcurrency: {
      type: 'integer',
      minimum: 0,
      default: 50,
      zeroIsDefault: true,
      description: 'Most requests to Google at once, at least 25.',
    },
    useragent: {
      type: 'string',
      optional: true,
      description: 'What is sent as User-Agent.',
    },
  },
} as const satisfies ObjectField;

export type GcsOptions = Decoded<typeof gcsSection>;

/** What is wrong with options by themselves or together, by the key within the section. */
export function gcsProblems({ chunksize }: GcsOptions): readonly { key: string; message: string }[] {
  return chunksize % PIECE_UNIT === 0
    ? []
    : [{ key: 'chunksize', message: `must be a multiple of ${PIECE_UNIT}, not ${chunksize}` }];
}
