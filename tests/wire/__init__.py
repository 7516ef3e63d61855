"""What happens on the wire: transports, retransmissions, connections."""
