// What can go wrong between the suite and a server, told apart because each means something else for a check.

/** The server sent what the protocol does not allow. */
export class Violation extends Error {}

/** The server closed the connection. */
export class Closed extends Error {}

/** The server sent nothing for as long as the suite waits. */
export class Silent extends Error {}

/** Nothing about the server: there was no connection to be had. */
export class Unreachable extends Error {}
