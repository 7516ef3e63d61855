"""What survives kill -9, locked and lost databases, full disks and dead watchers."""
